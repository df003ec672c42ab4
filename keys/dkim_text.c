/*
 * The text of a DKIM signature (RFC 6376, RFC 8463): whether what spool asks for may be signed, its canonical form, and the
 * DKIM-Signature field. Pure; run by postern-keys. Invariant: what is signed is a header with one From of the domain that the
 * signature names, and can be read as nothing else.
 */
#include "dkim_text.h"

#include <string.h>

#include "addr.h"
#include "base64.h"
#include "err.h"
#include "mailbox_list.h"
#include "message_dkim.h"
#include "str.h"

#define LINE_TEXT 74		/* octets of a folded line */
#define FROM_MAX 64		/* addresses in From */

struct field {
	const uint8_t	*start;
	size_t		 name_len, value, len;	/* offsets from start; len with the last CRLF */
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The field at the start of n octets: a name, perhaps blanks, a colon, lines that end with CRLF, the later ones with a blank first. */
static int
take_field(const uint8_t *p, size_t n, struct field *f)
{
	size_t i = 0;

	*f = (struct field){ .start = p };
	while (i < n && p[i] > ' ' && p[i] < 0x7f && p[i] != ':')
		i++;
	f->name_len = i;
	while (i < n && is_blank(p[i]))
		i++;
	if (f->name_len == 0 || i == n || p[i] != ':')
		return ERR_SYNTAX;
	f->value = ++i;
	for (; i < n; i++) {
		if (p[i] == 0 || p[i] == '\n')
			return ERR_SYNTAX;
		if (p[i] != '\r')
			continue;
		if (++i == n || p[i] != '\n')
			return ERR_SYNTAX;
		f->len = i + 1;
		if (f->len == n || !is_blank(p[f->len]))
			return ERR_OK;
	}
	return ERR_SYNTAX;
}

/* Lower case, no folding, one space for each run of blanks and none at the ends. */
static int
put_relaxed(struct buf *b, const struct field *f)
{
	size_t from = b->len, value;
	bool blank = false;
	int err;

	if ((err = buf_reserve(b, f->len + 4)) != ERR_OK)
		return err;
	for (size_t i = 0; i < f->name_len; i++)
		b->data[from + i] = f->start[i] >= 'A' && f->start[i] <= 'Z' ? f->start[i] | 0x20 : f->start[i];
	b->len += f->name_len;
	b->data[b->len++] = ':';
	value = b->len;
	for (size_t i = f->value; i < f->len; i++) {
		uint8_t c = f->start[i];

		if (c == '\r' || c == '\n')
			continue;
		if (is_blank(c)) {
			blank = true;
			continue;
		}
		if (blank && b->len != value)
			b->data[b->len++] = ' ';
		blank = false;
		b->data[b->len++] = c;
	}
	b->data[b->len++] = '\r';
	b->data[b->len++] = '\n';
	return ERR_OK;
}

int
dkim_put_relaxed(struct buf *b, const uint8_t *field, size_t n)
{
	struct field f;
	int err;

	if ((err = take_field(field, n, &f)) != ERR_OK)
		return err;
	return f.len == n ? put_relaxed(b, &f) : ERR_SYNTAX;
}

static bool
is_name(const struct field *f, const char *name)
{
	return str_is_equal_nocase(f->start, f->name_len, name, strlen(name));
}

/* d= in letters that a DNS name may have, so that nothing else gets into the field (RFC 6376, 3.5). */
static bool
is_domain(const char *domain)
{
	size_t n = strlen(domain);

	return n != 0 && domain[strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == 0 && addr_is_domain(domain, n, false);
}

static int
judge_from(const struct field *f, const char *domain)
{
	struct addr addresses[FROM_MAX];
	size_t n;

	if (mailbox_list_get(f->start + f->value, f->len - f->value, addresses, FROM_MAX, &n) != ERR_OK)
		return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		const char *of = addr_domain(&addresses[i]);

		if (str_is_equal_nocase(of, strlen(of), domain, strlen(domain)))
			return ERR_OK;
	}
	return ERR_DENIED;
}

int
dkim_judge(const struct ipc_dkim_sign *m)
{
	size_t from = 0, n = 0;
	struct field f;
	int err;

	if (!is_domain(m->domain))
		return ERR_SYNTAX;
	for (size_t at = 0; at < m->fields_len; at += f.len) {
		if ((err = take_field(m->fields + at, m->fields_len - at, &f)) != ERR_OK)
			return err;
		if (ipc_dkim_find_field(f.start, f.name_len) == NULL || ++n > DKIM_FIELDS_COUNT_MAX)
			return ERR_SYNTAX;
		if (!is_name(&f, "From"))
			continue;
		if (++from > 1)
			return ERR_SYNTAX;
		if ((err = judge_from(&f, m->domain)) != ERR_OK)
			return err;
	}
	return from == 1 ? ERR_OK : ERR_SYNTAX;
}

/* A field that is written word by word. */
struct folded {
	struct buf	*b;
	size_t		 column;
	int		 err;
};

/* On a new line where the current one is full, then without the blank that it may begin with. */
static void
put_word(struct folded *f, const char *word, size_t n)
{
	if (f->err != ERR_OK)
		return;
	if (f->column + n > LINE_TEXT) {
		f->err = buf_put_str(f->b, "\r\n\t");
		f->column = 8;
		if (n != 0 && *word == ' ') {
			word++;
			n--;
		}
	}
	if (f->err == ERR_OK)
		f->err = buf_put(f->b, word, n);
	f->column += n;
}

static void
put_text(struct folded *f, const char *text)
{
	put_word(f, text, strlen(text));
}

static void
put_line(struct folded *f, const char *text)
{
	f->column = LINE_TEXT;
	put_text(f, text);
}

static void
put_name(struct folded *f, bool is_first, const uint8_t *name, size_t n)
{
	char word[80];

	/* Permitted names are short. */
	if (str_fmt(word, sizeof(word), "%s%.*s", is_first ? "" : ":", (int)n, (const char *)name) != ERR_OK)
		f->err = ERR_TOOBIG;
	put_text(f, word);
}

static size_t
split(const struct ipc_dkim_sign *m, struct field *fields, size_t max)
{
	size_t n = 0;

	for (size_t at = 0; at < m->fields_len && n < max; at += fields[n++].len)
		if (take_field(m->fields + at, m->fields_len - at, &fields[n]) != ERR_OK)
			break;
	return n;
}

/* Whether a field of this name stands behind number i: then it has been oversigned already. */
static bool
comes_again(const struct field *fields, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n; k++)
		if (str_is_equal_nocase(fields[k].start, fields[k].name_len, fields[i].start, fields[i].name_len))
			return true;
	return false;
}

/*
 * The tag h and the text beside it. Of several fields with one name the lowest is meant first (RFC 6376, 5.4.2), so that all are
 * named from the end of the header to its start; then once more each that nobody may add to.
 */
static void
put_signed(struct folded *f, const struct field *fields, size_t n, struct buf *text)
{
	const struct ipc_dkim_field *row;

	put_line(f, "h=");
	for (size_t i = n; i-- > 0;) {
		put_name(f, i == n - 1, fields[i].start, fields[i].name_len);
		if (f->err == ERR_OK)
			f->err = put_relaxed(text, &fields[i]);
	}
	for (size_t i = n; i-- > 0;)
		if (!comes_again(fields, n, i) && (row = ipc_dkim_find_field(fields[i].start, fields[i].name_len))->is_oversigned)
			put_name(f, false, (const uint8_t *)row->name, strlen(row->name));
	put_text(f, ";");
}

int
dkim_compose(const struct ipc_dkim_sign *m, const char *selector, enum dkim_algorithm algorithm, uint64_t time_s,
    struct buf *header, struct buf *text)
{
	struct field fields[DKIM_FIELDS_COUNT_MAX];
	size_t n = split(m, fields, DKIM_FIELDS_COUNT_MAX), start = header->len;
	char hash[(DKIM_BODY_HASH + 2) / 3 * 4 + 1], tag[DKIM_DOMAIN_MAX + 8];
	struct folded f = { .b = header };

	base64_encode(hash, m->body_hash, sizeof(m->body_hash));
	put_text(&f, "DKIM-Signature: v=1;");
	put_text(&f, algorithm == DKIM_RSA ? " a=rsa-sha256;" : " a=ed25519-sha256;");
	put_text(&f, " c=relaxed/relaxed;");
	if (str_fmt(tag, sizeof(tag), "d=%s;", m->domain) != ERR_OK)
		return ERR_TOOBIG;
	put_line(&f, tag);
	if (str_fmt(tag, sizeof(tag), " s=%s;", selector) != ERR_OK)
		return ERR_TOOBIG;
	put_text(&f, tag);
	if (str_fmt(tag, sizeof(tag), " t=%llu;", (unsigned long long)time_s) != ERR_OK)
		return ERR_TOOBIG;
	put_text(&f, tag);
	put_signed(&f, fields, n, text);
	put_line(&f, "bh=");
	put_text(&f, hash);
	put_text(&f, ";");
	put_line(&f, "b=");
	if (f.err != ERR_OK || (f.err = buf_put_str(header, "\r\n")) != ERR_OK)
		return f.err;
	/* The field itself is signed with an empty b, and without its CRLF (RFC 6376, 3.7). */
	if ((f.err = dkim_put_relaxed(text, header->data + start, header->len - start)) == ERR_OK)
		text->len -= 2;
	header->len -= 2;
	return f.err;
}

int
dkim_finish(struct buf *header, const uint8_t *signature, size_t n)
{
	struct folded f = { .b = header, .column = 8 + 2 };
	char text[(1024 + 2) / 3 * 4 + 1];
	size_t len;

	if (n > 1024)
		return ERR_TOOBIG;
	base64_encode(text, signature, n);
	len = strlen(text);
	for (size_t at = 0; at < len;) {
		size_t room = f.column < LINE_TEXT ? LINE_TEXT - f.column : LINE_TEXT - 8;
		size_t part = len - at < room ? len - at : room;

		put_word(&f, text + at, part);
		at += part;
	}
	return f.err == ERR_OK ? buf_put_str(header, "\r\n") : f.err;
}
