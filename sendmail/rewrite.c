/*
 * The header of a message: its recipients for -t, names without a domain completed. Run by postern-sendmail with its
 * caller's rights. Invariant: but for what is completed or added, every octet comes out as it went in; what can't be
 * read is left to the service.
 */
#include "rewrite.h"

#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "err.h"
#include "mailboxes.h"
#include "recipients.h"
#include "str.h"

#define NAME_MAX_OCTETS 42	/* an encoded word has at most 75 characters */

/* A field: where it starts, its colon, its end behind the last CRLF. */
struct field {
	size_t	start, colon, end;
};

static const struct {
	const char	*name;
	bool		 has_recipients;
} known[] = {
	{ "To", true }, { "Cc", true }, { "Bcc", true }, { "From", false }, { "Sender", false }, { "Reply-To", false },
};

static size_t
line_end(const uint8_t *p, size_t n, size_t at)
{
	const uint8_t *lf = memchr(p + at, '\n', n - at);

	return lf != NULL ? (size_t)(lf - p) + 1 : n;
}

/* The field at `at`; false where the header has ended. */
static bool
find_field(const uint8_t *p, size_t n, size_t at, struct field *f)
{
	size_t end = at;

	while (end < n && p[end] > ' ' && p[end] < 0x7f && p[end] != ':')
		end++;
	*f = (struct field){ .start = at, .colon = end };
	/* Blanks may stand before the colon (RFC 5322, 4.5.8). */
	while (f->colon < n && (p[f->colon] == ' ' || p[f->colon] == '\t'))
		f->colon++;
	if (end == at || f->colon >= n || p[f->colon] != ':')
		return false;
	f->end = line_end(p, n, at);
	while (f->end < n && (p[f->end] == ' ' || p[f->end] == '\t'))
		f->end = line_end(p, n, f->end);
	return true;
}

static bool
is_named(const uint8_t *p, const struct field *f, const char *prefix, const char *name)
{
	size_t n = f->colon - f->start, m = strlen(prefix);

	while (n != 0 && (p[f->start + n - 1] == ' ' || p[f->start + n - 1] == '\t'))
		n--;
	return n > m && str_is_equal_nocase(p + f->start, m, prefix, m) &&
	    str_is_equal_nocase(p + f->start + m, n - m, name, strlen(name));
}

/* Which of the known it is, with or without Resent-; -1 for none. */
static int
find_known(const uint8_t *p, const struct field *f, bool *is_resent)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		*is_resent = is_named(p, f, "Resent-", known[i].name);
		if (*is_resent || is_named(p, f, "", known[i].name))
			return (int)i;
	}
	return -1;
}

/* Where mail for users of this machine used to go. The account's own domain is left alone: mailboxes may be there. */
static bool
is_here(const char *domain, const struct completion *c)
{
	size_t n = strlen(domain), m = strlen(c->host);

	if (str_is_equal_nocase(domain, n, c->domain, strlen(c->domain)))
		return false;
	if (str_is_equal_nocase(domain, n, "localhost", 9) ||
	    str_is_equal_nocase(domain, n, "localhost.localdomain", 21))
		return true;
	return m != 0 && n >= m && str_is_equal_nocase(domain, m, c->host, m) &&
	    (n == m || (domain[m] == '.' && strchr(c->host, '.') == NULL));
}

int
rewrite_address(char *to, size_t size, const char *address, const struct completion *c)
{
	const char *at = strrchr(address, '@');
	size_t n = at != NULL ? (size_t)(at - address) : strlen(address);

	if (address[0] == 0 || (at != NULL && !is_here(at + 1, c)))
		return str_fmt(to, size, "%s", address);
	if (c->address[0] != 0 && n == strlen(c->user) && strncmp(address, c->user, n) == 0)
		return str_fmt(to, size, "%s", c->address);
	return str_fmt(to, size, "%.*s@%s", (int)n, address, c->domain);
}

/* One field of addresses. */
static int
rewrite_field(
    struct buf *out, const uint8_t *p, const struct field *f, const struct completion *c, struct recipients *r)
{
	const uint8_t *value = p + f->colon + 1;
	size_t n = f->end - f->colon - 1, at = 0, kept = 0;
	char address[MAILBOX_TEXT + 256];
	struct mailbox m;
	int err = buf_put(out, p + f->start, f->colon + 1 - f->start), found;

	while (err == ERR_OK && (found = mailboxes_next(value, n, &at, &m)) != ERR_NOTFOUND) {
		/* What can't be read nobody is sent to by mistake; elsewhere it goes on as it is. */
		if (found == ERR_SYNTAX && r != NULL)
			return ERR_SYNTAX;
		if (found == ERR_SYNTAX)
			break;
		if ((err = rewrite_address(address, sizeof(address), m.text, c)) == ERR_OK && r != NULL)
			err = recipients_add(r, address);
		if (err != ERR_OK || strcmp(address, m.text) == 0)
			continue;
		if ((err = buf_put(out, value + kept, m.start - kept)) == ERR_OK)
			err = buf_put_str(out, address);
		kept = m.end;
	}
	return err == ERR_OK ? buf_put(out, value + kept, n - kept) : err;
}

/* RFC 2047: a name beyond ASCII as one encoded word, if it fits; else none. */
static int
put_encoded_from(struct buf *out, const char *full_name, const char *sender)
{
	char word[BASE64_ENCODED(NAME_MAX_OCTETS) + 1];
	size_t n = strlen(full_name);

	if (n > NAME_MAX_OCTETS || !str_is_utf8(full_name, n))
		return buf_put_fmt(out, "From: <%s>\r\n", sender);
	base64_encode(word, full_name, n);
	return buf_put_fmt(out, "From: =?UTF-8?B?%s?= <%s>\r\n", word, sender);
}

/* RFC 5322, 3.4: a display name as a quoted string. */
static int
put_from(struct buf *out, const char *full_name, const char *sender)
{
	int err = ERR_OK;

	for (const char *p = full_name; *p != 0; p++)
		if ((uint8_t)*p > 0x7e)
			return put_encoded_from(out, full_name, sender);
	err = buf_put_str(out, "From: \"");
	for (const char *p = full_name; *p != 0 && err == ERR_OK; p++) {
		if (*p == '"' || *p == '\\')
			err = buf_put(out, "\\", 1);
		if (err == ERR_OK && (uint8_t)*p >= ' ' && *p != 0x7f)
			err = buf_put(out, p, 1);
	}
	return err == ERR_OK ? buf_put_fmt(out, "\" <%s>\r\n", sender) : err;
}

static bool
has_resent(const uint8_t *p, size_t n)
{
	struct field f;
	bool is_resent;

	for (size_t at = 0; at < n && find_field(p, n, at, &f); at = f.end) {
		int i = find_known(p, &f, &is_resent);

		if (i >= 0 && known[i].has_recipients && is_resent)
			return true;
	}
	return false;
}

int
rewrite_header(struct buf *out, const uint8_t *p, size_t n, const struct completion *c, const char *sender,
    const char *full_name, struct recipients *r, size_t *used, char *why, size_t size)
{
	bool resent = r != NULL && has_resent(p, n), has_from = false, is_resent;
	struct field f;
	int err = ERR_OK;
	size_t at = 0;

	for (; err == ERR_OK && at < n && find_field(p, n, at, &f); at = f.end) {
		int i = find_known(p, &f, &is_resent);
		bool takes = r != NULL && i >= 0 && known[i].has_recipients && is_resent == resent;

		has_from |= is_named(p, &f, "", "From");
		err = i >= 0 ? rewrite_field(out, p, &f, c, takes ? r : NULL)
			     : buf_put(out, p + f.start, f.end - f.start);
		if (err == ERR_SYNTAX) {
			snprintf(why, size, "the addresses of this field can't be read: %.*s",
			    (int)(line_end(p, n, f.start) - f.start >= 2 ? line_end(p, n, f.start) - f.start - 2 : 0),
			    (const char *)p + f.start);
			mailboxes_show(why, size, why);
		}
	}
	*used = at;
	if (err == ERR_OK && !has_from && full_name[0] != 0 && sender[0] != 0)
		err = put_from(out, full_name, sender);
	return err;
}
