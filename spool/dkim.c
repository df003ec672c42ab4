/*
 * What a DKIM signature needs of a stored message: the header fields to be signed, From's domain, and the body's hash in the relaxed
 * form (RFC 6376, 3.4.4), reckoned as the octets pass. Run by postern-spool's commit threads. Invariant: the file is read once, by
 * offsets, so that its descriptor may be shared.
 */
#include "dkim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "err.h"
#include "header.h"
#include "io.h"
#include "mailbox_list.h"
#include "message_dkim.h"
#include "str.h"

#define CHUNK 65536
#define STORED_HEADER_MAX (HEADER_MAX + 16384)	/* with what the repair has added */
#define ROWS_MAX 64
#define FROM_MAX 64

/* The body on its way into the digest. */
struct body {
	EVP_MD_CTX	*md;
	uint64_t	 line_ends;	/* that are due before the next text */
	bool		 blank;		/* blanks stand before the next text of this line */
	bool		 after_cr;
	bool		 has_text;
	bool		 failed;
	size_t		 n;
	uint8_t		 out[8192];
};

struct reader {
	const EVP_MD	*digest;
	int		 fd;
	uint64_t	 offset, left;
	struct buf	 header;
	struct body	 body;
	uint8_t		 chunk[CHUNK];
};

struct field {
	const uint8_t	*start;
	size_t		 name_len, value, len;
};

/* What is signed of each kind of field: all of its instances, or none. */
struct choice {
	size_t	octets[ROWS_MAX], count[ROWS_MAX];
	bool	is_dropped[ROWS_MAX];
};

static void
flush(struct body *b)
{
	if (b->n != 0 && EVP_DigestUpdate(b->md, b->out, b->n) != 1)
		b->failed = true;
	b->n = 0;
}

static void
put(struct body *b, uint8_t c)
{
	if (b->n == sizeof(b->out))
		flush(b);
	b->out[b->n++] = c;
}

/* Blank lines at the end are never put. */
static void
put_text(struct body *b, uint8_t c)
{
	for (; b->line_ends != 0; b->line_ends--) {
		put(b, '\r');
		put(b, '\n');
	}
	if (b->blank)
		put(b, ' ');
	b->blank = false;
	b->has_text = true;
	put(b, c);
}

static void
feed_body(struct body *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];

		if (c == '\r' || c == '\n') {
			/* The way out ends every line with CRLF, whatever the file holds. */
			if (c == '\r' || !b->after_cr)
				b->line_ends++;
			b->blank = false;
		} else if (c == ' ' || c == '\t') {
			b->blank = true;
		} else {
			put_text(b, c);
		}
		b->after_cr = c == '\r';
	}
}

static int
end_body(struct body *b, uint8_t hash[DKIM_BODY_HASH])
{
	unsigned n = DKIM_BODY_HASH;

	if (b->has_text) {
		put(b, '\r');
		put(b, '\n');
	}
	flush(b);
	return !b->failed && EVP_DigestFinal_ex(b->md, hash, &n) == 1 ? ERR_OK : ERR_SYSTEM;
}

static int
read_chunk(struct reader *r, size_t *n)
{
	size_t want = r->left < CHUNK ? (size_t)r->left : CHUNK;
	ssize_t got;

	do {
		got = pread(r->fd, r->chunk, want, (off_t)r->offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return ERR_SYSTEM;
	if (got == 0)
		return ERR_SHORT;
	*n = (size_t)got;
	r->offset += *n;
	r->left -= *n;
	return ERR_OK;
}

/* Takes octets of the header, up to and with its blank line; *used says how many. */
static int
feed_header(struct buf *header, const uint8_t *p, size_t n, size_t *used, bool *is_complete)
{
	size_t from = header->len > 3 ? header->len - 3 : 0;
	const uint8_t *end;
	int err;

	if ((err = buf_put(header, p, n)) != ERR_OK)
		return err;
	*used = n;
	if ((end = memmem(header->data + from, header->len - from, "\r\n\r\n", 4)) == NULL)
		return ERR_OK;
	*is_complete = true;
	*used = n - (header->len - (size_t)(end + 4 - header->data));
	header->len = (size_t)(end + 2 - header->data);
	return ERR_OK;
}

static int
read_message(struct reader *r, uint8_t hash[DKIM_BODY_HASH])
{
	bool is_complete = false;
	size_t n, used;
	int err;

	if ((r->body.md = EVP_MD_CTX_new()) == NULL)
		return ERR_NOMEM;
	if (EVP_DigestInit_ex(r->body.md, r->digest, NULL) != 1)
		return ERR_SYSTEM;
	while (r->left != 0) {
		used = 0;
		if ((err = read_chunk(r, &n)) != ERR_OK)
			return err;
		if (!is_complete && (err = feed_header(&r->header, r->chunk, n, &used, &is_complete)) != ERR_OK)
			return err == ERR_TOOBIG ? ERR_SYNTAX : err;
		feed_body(&r->body, r->chunk + used, n - used);
	}
	return end_body(&r->body, hash);
}

/* The field at the start of n octets of a repaired header. */
static int
take_field(const uint8_t *p, size_t n, struct field *f)
{
	*f = (struct field){ .start = p };
	while (f->name_len < n && p[f->name_len] > ' ' && p[f->name_len] < 0x7f && p[f->name_len] != ':')
		f->name_len++;
	f->value = f->name_len;
	while (f->value < n && (p[f->value] == ' ' || p[f->value] == '\t'))
		f->value++;
	if (f->name_len == 0 || f->value == n || p[f->value++] != ':')
		return ERR_SYNTAX;
	f->len = f->value;
	do {
		const uint8_t *lf = memchr(p + f->len, '\n', n - f->len);

		if (lf == NULL || lf[-1] != '\r')
			return ERR_SYNTAX;
		f->len = (size_t)(lf - p) + 1;
	} while (f->len < n && (p[f->len] == ' ' || p[f->len] == '\t'));
	return ERR_OK;
}

/* The number of a signed field's row; From's is 0. */
static bool
find_row(const struct field *f, size_t *row)
{
	const struct ipc_dkim_field *found = ipc_dkim_find_field(f->start, f->name_len);

	*row = found != NULL ? (size_t)(found - ipc_dkim_fields) : 0;
	return found != NULL;
}

static int
get_domain(const struct field *f, struct dkim_input *in)
{
	struct addr *addresses = calloc(FROM_MAX, sizeof(*addresses));
	const char *domain;
	size_t n;
	int err;

	if (addresses == NULL)
		return ERR_NOMEM;
	if ((err = mailbox_list_get(f->start + f->value, f->len - f->value, addresses, FROM_MAX, &n)) == ERR_OK) {
		domain = addr_domain(&addresses[0]);
		err = str_copy(in->domain, sizeof(in->domain), domain, strlen(domain));
	}
	for (char *c = in->domain; *c != 0; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	free(addresses);
	return err == ERR_OK ? ERR_OK : ERR_SYNTAX;
}

/* Leaves the longest kinds out until the rest is within the bounds of one question. */
static int
choose(struct choice *c)
{
	size_t octets = 0, count = 0;

	for (size_t i = 0; i < ipc_dkim_nfields; i++) {
		octets += c->octets[i];
		count += c->count[i];
	}
	while (octets > DKIM_FIELDS_MAX || count > DKIM_FIELDS_COUNT_MAX) {
		size_t longest = 0;

		for (size_t i = 1; i < ipc_dkim_nfields; i++)
			if (!c->is_dropped[i] && c->octets[i] != 0 && (longest == 0 || c->octets[i] > c->octets[longest]))
				longest = i;
		if (longest == 0)
			return ERR_TOOBIG;
		c->is_dropped[longest] = true;
		octets -= c->octets[longest];
		count -= c->count[longest];
	}
	return ERR_OK;
}

static int
take_fields(const struct buf *header, struct dkim_input *in)
{
	struct choice c = { .octets = { 0 } };
	struct field f;
	size_t row;
	int err;

	for (size_t at = 0; at < header->len; at += f.len) {
		if ((err = take_field(header->data + at, header->len - at, &f)) != ERR_OK)
			return err;
		if (!find_row(&f, &row))
			continue;
		c.octets[row] += f.len;
		if (c.count[row]++ == 0 && row == 0 && (err = get_domain(&f, in)) != ERR_OK)
			return err;
	}
	if (c.count[0] != 1)
		return ERR_SYNTAX;
	if ((err = choose(&c)) != ERR_OK)
		return err;
	for (size_t at = 0; at < header->len; at += f.len)
		if ((err = take_field(header->data + at, header->len - at, &f)) != ERR_OK ||
		    (find_row(&f, &row) && !c.is_dropped[row] && (err = buf_put(&in->fields, f.start, f.len)) != ERR_OK))
			return err;
	return ERR_OK;
}

int
dkim_read(const EVP_MD *digest, int fd, uint64_t offset, uint64_t size, struct dkim_input *in)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	*in = (struct dkim_input){ .domain = "" };
	buf_init(&in->fields, DKIM_FIELDS_MAX);
	if (r == NULL)
		return ERR_NOMEM;
	r->digest = digest;
	r->fd = fd;
	r->offset = offset;
	r->left = size;
	buf_init(&r->header, STORED_HEADER_MAX + CHUNK);
	if ((err = read_message(r, in->body_hash)) == ERR_OK)
		err = take_fields(&r->header, in);
	EVP_MD_CTX_free(r->body.md);
	buf_free(&r->header);
	free(r);
	return err;
}

void
dkim_free(struct dkim_input *in)
{
	buf_free(&in->fields);
}

const char *
dkim_why(int err)
{
	switch (err) {
	case ERR_SYNTAX:
		return "no domain can be read in the From field";
	case ERR_TOOBIG:
		return "the From field is too long";
	default:
		return "the message could not be read to be signed";
	}
}
