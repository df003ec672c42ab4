/*
 * The text of a message file: writing and parsing its first line and its envelope. Pure; part of libpostern-spool. Invariant:
 * what format_put_*() wrote, format_get_*() reads back; anything else is refused, never guessed.
 */
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "err.h"
#include "name.h"
#include "str.h"

static const char first_start[] = "Postern-Spool: v=";
static const char end_line[] = "Postern-End: envelope\r\n";

/* What is left of the envelope's text. */
struct cursor {
	const char	*p;
	size_t		 left;
};

void
format_put_first_line(char *to, uint64_t size, const uint8_t *digest, bool is_from_judged)
{
	static const uint8_t none[FORMAT_DIGEST];
	char hex[2 * FORMAT_DIGEST + 1];

	str_put_hex(hex, digest != NULL ? digest : none, FORMAT_DIGEST);
	snprintf(to, FORMAT_FIRST_LINE + 1, "%s%d; size=%020llu; sha256=%s; from=%d\r\n", first_start, SPOOL_VERSION,
	    (unsigned long long)size, hex, is_from_judged ? 1 : 0);
}

static int
get_digest(const uint8_t *p, uint8_t digest[FORMAT_DIGEST])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 2 * FORMAT_DIGEST; i++) {
		const char *digit = p[i] != 0 ? strchr(digits, p[i]) : NULL;

		if (digit == NULL)
			return ERR_CORRUPT;
		digest[i / 2] = (uint8_t)(digest[i / 2] << 4 | (digit - digits));
	}
	return ERR_OK;
}

int
format_get_first_line(const uint8_t *p, size_t n, uint64_t *size, uint8_t digest[FORMAT_DIGEST], bool *is_from_judged)
{
	const size_t start = sizeof(first_start) - 1;
	size_t digits = 0;
	uint64_t version;

	if (n < start || memcmp(p, first_start, start) != 0)
		return ERR_CORRUPT;
	while (start + digits < n && digits < 9 && p[start + digits] >= '0' && p[start + digits] <= '9')
		digits++;
	if (start + digits == n || p[start + digits] != ';' ||
	    str_parse_u64(p + start, digits, UINT32_MAX, &version) != ERR_OK || version == 0)
		return ERR_CORRUPT;
	if (version > SPOOL_VERSION)
		return ERR_VERSION;
	if (n < FORMAT_FIRST_LINE || memcmp(p + start + digits, "; size=", 7) != 0 ||
	    str_parse_u64(p + start + digits + 7, 20, UINT64_MAX, size) != ERR_OK ||
	    memcmp(p + start + digits + 27, "; sha256=", 9) != 0 || get_digest(p + start + digits + 36, digest) != ERR_OK)
		return ERR_CORRUPT;
	/* Whatever the digits of the version: the line has its length. */
	p += start + digits + 100;
	if (start + digits + 100 + 10 != FORMAT_FIRST_LINE || memcmp(p, "; from=", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
	    memcmp(p + 8, "\r\n", 2) != 0)
		return ERR_CORRUPT;
	*is_from_judged = p[7] == '1';
	return ERR_OK;
}

bool
format_is_value(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((uint8_t)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return str_is_utf8(text, n);
}

int
format_put_start(struct buf *b, const char *id, const char *account, const char *credential, uint64_t session, uint32_t t,
    uint64_t arrival_us)
{
	bool has_credential = credential != NULL && credential[0] != 0;
	char time[28], hex[21];

	/* Its name is an admin's, and may hold blanks. */
	for (const char *p = credential; has_credential && *p != 0; p++)
		if ((uint8_t)*p < ' ' || *p == 0x7f)
			has_credential = false;
	return buf_put_fmt(b, "Postern-Id: %s\r\nPostern-Account: %s\r\n%s%s%sPostern-Session: %s\r\nPostern-Transaction: %lu\r\n"
	    "Postern-Arrival: %s\r\n", id, account, has_credential ? "Postern-Credential: " : "", has_credential ? credential : "",
	    has_credential ? "\r\n" : "", str_put_hex64(hex, session), (unsigned long)t, str_put_time(time, arrival_us));
}

static int
put_address(struct buf *b, const char *field, const char *address, const char *first, const char *one, const char *second,
    const char *two)
{
	bool has_one = one != NULL && one[0] != 0, has_two = two != NULL && two[0] != 0;

	return buf_put_fmt(b, "%s: <%s>%s%s%s%s\r\n", field, address, has_one ? first : "", has_one ? one : "",
	    has_two ? second : "", has_two ? two : "");
}

int
format_put_sender(struct buf *b, const char *address, const char *ret, const char *envid, bool body_8bit, bool smtputf8)
{
	int err = put_address(b, "Postern-Sender", address, " RET=", ret, " ENVID=", envid);

	if (err != ERR_OK || (!body_8bit && !smtputf8))
		return err;
	return buf_put_fmt(b, "Postern-Options:%s%s\r\n", body_8bit ? " 8BITMIME" : "", smtputf8 ? " SMTPUTF8" : "");
}

int
format_put_recipient(struct buf *b, const char *address, const char *notify, const char *orcpt)
{
	return put_address(b, "Postern-Recipient", address, " NOTIFY=", notify, " ORCPT=", orcpt);
}

int
format_put_end(struct buf *b)
{
	return buf_put_str(b, end_line);
}

/* Takes the next line if it is this field; its value may be empty. ERR_NOTFOUND, and the cursor stays. */
static int
take_field(struct cursor *c, const char *name, struct cursor *value)
{
	size_t n = strlen(name);
	const char *end;

	if (c->left < n + 2 || memcmp(c->p, name, n) != 0 || c->p[n] != ':' || c->p[n + 1] != ' ')
		return ERR_NOTFOUND;
	end = memmem(c->p, c->left, "\r\n", 2);
	if (end == NULL || memchr(c->p, 0, (size_t)(end - c->p)) != NULL)
		return ERR_NOTFOUND;
	*value = (struct cursor){ .p = c->p + n + 2, .left = (size_t)(end - c->p) - n - 2 };
	c->left -= (size_t)(end + 2 - c->p);
	c->p = end + 2;
	return ERR_OK;
}

/* A value that must be there, as a string of its own. ERR_CORRUPT, ERR_NOMEM. */
static int
take_text(struct cursor *c, const char *name, char **text)
{
	struct cursor value;

	if (take_field(c, name, &value) != ERR_OK || value.left == 0)
		return ERR_CORRUPT;
	return (*text = strndup(value.p, value.left)) != NULL ? ERR_OK : ERR_NOMEM;
}

int
format_get_time(const char *text, uint64_t *us)
{
	struct tm tm = { .tm_isdst = 0 };
	unsigned fraction;
	char again[28];
	time_t seconds;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
	    &tm.tm_sec, &fraction) != 7)
		return ERR_CORRUPT;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if ((seconds = timegm(&tm)) < 0)
		return ERR_CORRUPT;
	*us = (uint64_t)seconds * 1000000 + fraction;
	/* Only the one form that is written: no 31st of February, no sign, no blank. */
	return strcmp(str_put_time(again, *us), text) == 0 ? ERR_OK : ERR_CORRUPT;
}

/* Whether this field comes next. */
static bool
has_field(const struct cursor *c, const char *name)
{
	struct cursor copy = *c, value;

	return take_field(&copy, name, &value) == ERR_OK;
}

static int
get_start(struct cursor *c, struct spool_envelope *e)
{
	char *id = NULL, *session = NULL, *transaction = NULL, *arrival = NULL, again[21];
	uint64_t us, t;
	int err = ERR_CORRUPT;

	if ((err = take_text(c, "Postern-Id", &id)) != ERR_OK || (err = take_text(c, "Postern-Account", &e->account)) != ERR_OK)
		goto out;
	if (has_field(c, "Postern-Credential") && (err = take_text(c, "Postern-Credential", &e->credential)) != ERR_OK)
		goto out;
	if ((err = take_text(c, "Postern-Session", &session)) != ERR_OK ||
	    (err = take_text(c, "Postern-Transaction", &transaction)) != ERR_OK ||
	    (err = take_text(c, "Postern-Arrival", &arrival)) != ERR_OK)
		goto out;
	err = ERR_CORRUPT;
	if (name_get_id(id, strlen(id), &us) != ERR_OK || str_copy(e->id, sizeof(e->id), id, strlen(id)) != ERR_OK)
		goto out;
	e->session = strtoull(session, NULL, 16);
	if (strcmp(str_put_hex64(again, e->session), session) != 0)
		goto out;
	/* Again only the one form that is written: no leading zeros. */
	if (str_parse_u64(transaction, strlen(transaction), UINT32_MAX, &t) != ERR_OK || strcmp(str_put_u64(again, t), transaction) != 0)
		goto out;
	e->transaction = (uint32_t)t;
	err = format_get_time(arrival, &e->arrival_us);
out:
	free(id);
	free(session);
	free(transaction);
	free(arrival);
	return err;
}

/* The octets of "<address>" at the start of a value, or 0; a quoted local part may hold '>'. */
static size_t
bracketed(const struct cursor *v)
{
	bool quoted = false;

	if (v->left == 0 || v->p[0] != '<')
		return 0;
	for (size_t i = 1; i < v->left; i++) {
		if (quoted && v->p[i] == '\\')
			i++;
		else if (v->p[i] == '"')
			quoted = !quoted;
		else if (v->p[i] == '>' && !quoted)
			return i + 1;
	}
	return 0;
}

/* " NAME=value", if it comes next. ERR_CORRUPT, ERR_NOMEM. */
static int
take_parameter(struct cursor *v, const char *name, char **text)
{
	size_t n = strlen(name), len;

	if (v->left < n || memcmp(v->p, name, n) != 0)
		return ERR_OK;
	for (len = 0; n + len < v->left && v->p[n + len] != ' '; len++)
		continue;
	if (len == 0)
		return ERR_CORRUPT;
	if ((*text = strndup(v->p + n, len)) == NULL)
		return ERR_NOMEM;
	v->p += n + len;
	v->left -= n + len;
	return ERR_OK;
}

static int
get_address(struct cursor *value, char **address, const char *first, char **one, const char *second, char **two)
{
	size_t n = bracketed(value);
	int err;

	if (n == 0)
		return ERR_CORRUPT;
	if ((*address = strndup(value->p + 1, n - 2)) == NULL)
		return ERR_NOMEM;
	value->p += n;
	value->left -= n;
	if ((err = take_parameter(value, first, one)) != ERR_OK || (err = take_parameter(value, second, two)) != ERR_OK)
		return err;
	return value->left == 0 ? ERR_OK : ERR_CORRUPT;
}

static int
get_options(struct cursor *c, struct spool_envelope *e)
{
	struct cursor value;

	if (take_field(c, "Postern-Options", &value) != ERR_OK)
		return ERR_OK;
	if ((value.left == 8 && (memcmp(value.p, "8BITMIME", 8) == 0 || memcmp(value.p, "SMTPUTF8", 8) == 0)) ||
	    (value.left == 17 && memcmp(value.p, "8BITMIME SMTPUTF8", 17) == 0)) {
		e->body_8bit = value.p[0] == '8';
		e->smtputf8 = value.left == 17 || value.p[0] == 'S';
		return ERR_OK;
	}
	return ERR_CORRUPT;
}

static int
get_recipients(struct cursor *c, struct spool_envelope *e)
{
	struct cursor value;
	size_t room = 0;
	int err;

	while (take_field(c, "Postern-Recipient", &value) == ERR_OK) {
		struct spool_recipient *r;

		if (e->nrecipients == room) {
			room = room != 0 ? 2 * room : 4;
			if ((r = realloc(e->recipients, room * sizeof(*r))) == NULL)
				return ERR_NOMEM;
			e->recipients = r;
		}
		r = &e->recipients[e->nrecipients++];
		*r = (struct spool_recipient){ .address = NULL };
		if ((err = get_address(&value, &r->address, " NOTIFY=", &r->notify, " ORCPT=", &r->orcpt)) != ERR_OK)
			return err;
	}
	return e->nrecipients != 0 ? ERR_OK : ERR_CORRUPT;
}

int
format_get_envelope(const uint8_t *p, size_t n, uint64_t file_size, struct spool_envelope *e)
{
	struct cursor c = { .p = (const char *)p, .left = n }, value;
	uint8_t digest[FORMAT_DIGEST];
	const char *end;
	int err;

	*e = (struct spool_envelope){ .account = NULL };
	if ((err = format_get_first_line(p, n, &e->file_size, digest, &e->is_from_judged)) != ERR_OK)
		return err;
	if (e->file_size != file_size)
		return ERR_CORRUPT;
	if ((end = memmem(p, n, end_line, sizeof(end_line) - 1)) == NULL)
		return n < file_size ? ERR_SHORT : ERR_CORRUPT;
	c.p += FORMAT_FIRST_LINE;
	c.left = (size_t)(end - c.p);
	if ((err = get_start(&c, e)) != ERR_OK)
		return err;
	if (take_field(&c, "Postern-Sender", &value) != ERR_OK)
		return ERR_CORRUPT;
	if ((err = get_address(&value, &e->sender, " RET=", &e->ret, " ENVID=", &e->envid)) != ERR_OK ||
	    (err = get_options(&c, e)) != ERR_OK || (err = get_recipients(&c, e)) != ERR_OK)
		return err;
	if (c.left != 0)
		return ERR_CORRUPT;
	e->message_offset = (uint64_t)(end - (const char *)p) + sizeof(end_line) - 1;
	e->message_size = file_size - e->message_offset;
	return ERR_OK;
}
