/*
 * Files of accounts from elsewhere: passwd files, Dovecot's, and our own CSV (RFC 4180 with a line of titles). Pure; part of
 * smtpadm. Invariant: what is not understood is an error with its line, nothing is passed over.
 */
#include "import.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "str.h"

#define FIELDS_MAX 32

static int fail(struct import *im, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
fail(struct import *im, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(im->why, sizeof(im->why), fmt, ap);
	va_end(ap);
	im->line = line;
	return ERR_SYNTAX;
}

static int
add(struct import *im, const struct import_row *row)
{
	if (im->n == im->size) {
		size_t size = im->size != 0 ? im->size * 2 : 256;
		struct import_row *rows = realloc(im->rows, size * sizeof(*rows));

		if (rows == NULL)
			return ERR_NOMEM;
		im->rows = rows;
		im->size = size;
	}
	im->rows[im->n++] = *row;
	return ERR_OK;
}

/* Dovecot's {SCHEME} before a hash. */
static int
take_scheme(struct import *im, struct import_row *row)
{
	static const char *const hashed[] = { "CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT" };
	static const char *const plain[] = { "PLAIN", "PLAINTEXT", "CLEARTEXT" };
	char *end;
	size_t n;

	if (row->hash[0] != '{')
		return ERR_OK;
	if ((end = strchr(row->hash, '}')) == NULL)
		return fail(im, row->line, "a scheme begins with { and ends nowhere");
	n = (size_t)(end - row->hash) - 1;
	for (size_t i = 0; i < sizeof(hashed) / sizeof(hashed[0]); i++) {
		if (str_is_equal_nocase(row->hash + 1, n, hashed[i], strlen(hashed[i]))) {
			row->hash = end + 1;
			return ERR_OK;
		}
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (str_is_equal_nocase(row->hash + 1, n, plain[i], strlen(plain[i]))) {
			row->password = end + 1;
			row->hash = end + 1 + strlen(end + 1);
			return ERR_OK;
		}
	}
	return fail(im, row->line, "the scheme %.*s can't be taken over: give this account a new password", (int)n + 2, row->hash);
}

/* user:hash, and whatever behind a second colon. */
static int
parse_passwd(struct import *im, bool dovecot, char *line, unsigned number)
{
	char *none = line + strlen(line);
	struct import_row row = { .line = number, .account = line, .credential = none, .password = none, .local_user = none,
	    .contained = none };
	char *colon = strchr(line, ':'), *end;
	int err;

	if (line[0] == 0 || line[0] == '#')
		return ERR_OK;
	if (colon == NULL || colon == line)
		return fail(im, number, "this is no line of the form user:hash");
	*colon = 0;
	row.hash = colon + 1;
	/* A plain password may hold colons only where nothing comes behind it: the other fields come first. */
	if ((end = strchr(row.hash, ':')) != NULL)
		*end = 0;
	if (dovecot && (err = take_scheme(im, &row)) != ERR_OK)
		return err;
	if (row.hash[0] == 0 && row.password[0] == 0)
		return fail(im, number, "%s has no password", row.account);
	return add(im, &row);
}

/* The next record of a CSV text, its fields cut out in place. 1, 0 at the end, or ERR_SYNTAX. */
static int
next_record(struct import *im, char **text, unsigned *line, char **fields, size_t *n)
{
	char *p = *text;

	*n = 0;
	if (*p == 0)
		return 0;
	for (;;) {
		bool quoted = *p == '"';
		unsigned first = *line;
		char *to;

		if (*n == FIELDS_MAX)
			return fail(im, *line, "there are more than %d fields", FIELDS_MAX);
		p += quoted;
		to = fields[(*n)++] = p;
		while (*p != 0 && (quoted || (*p != ',' && *p != '\n' && *p != '\r'))) {
			*line += *p == '\n';
			if (quoted && *p == '"' && p[1] != '"')
				break;
			p += quoted && *p == '"';
			*to++ = *p++;
		}
		if (quoted && *p++ != '"')
			return fail(im, first, "a quoted field ends nowhere");
		if (*p == ',') {
			*to = 0;
			p++;
			continue;
		}
		p += *p == '\r';
		if (*p != '\n' && *p != 0)
			return fail(im, *line, "a field goes on behind its closing quote");
		*text = p + (*p == '\n');
		*to = 0;
		return 1;
	}
}

static int
read_number(struct import *im, struct import_row *row, const char *title, const char *value, uint64_t *number, bool *is_set)
{
	if (value[0] == 0)
		return ERR_OK;
	*is_set = true;
	if (str_parse_size(value, number) != ERR_OK || *number == 0 || *number > 1ULL << 40)
		return fail(im, row->line, "'%s' is no number for %s", value, title);
	return ERR_OK;
}

static int
read_time(struct import *im, struct import_row *row, const char *value)
{
	struct tm tm = { .tm_mday = 1 };
	const char *end;

	if (value[0] == 0)
		return ERR_OK;
	if ((end = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &tm)) == NULL || *end != 0 || tm.tm_year < 70)
		return fail(im, row->line, "'%s' is no time such as 2027-01-31T00:00:00Z", value);
	row->expires_us = (uint64_t)timegm(&tm) * 1000000;
	return ERR_OK;
}

static int
read_yes(struct import *im, struct import_row *row, const char *title, const char *value, bool *yes)
{
	*yes = strcmp(value, "yes") == 0;
	if (value[0] != 0 && !*yes && strcmp(value, "no") != 0)
		return fail(im, row->line, "'%s' is no word for %s: yes or no", value, title);
	return ERR_OK;
}

static int
read_state(struct import *im, struct import_row *row, const char *value)
{
	row->disabled = strcmp(value, "disabled") == 0;
	if (value[0] != 0 && !row->disabled && strcmp(value, "enabled") != 0)
		return fail(im, row->line, "'%s' is no state: enabled or disabled", value);
	return ERR_OK;
}

static int
take_field(struct import *im, struct import_row *row, const char *title, char *value)
{
	const struct {
		const char	*title;
		char		**text;		/* one of these three is set */
		bool		*yes;
		uint64_t	*number;
		bool		*is_set;	/* that a number stands there */
	} fields[] = {
		{ "account", &row->account, NULL, NULL, NULL },
		{ "credential", &row->credential, NULL, NULL, NULL },
		{ "hash", &row->hash, NULL, NULL, NULL },
		{ "password", &row->password, NULL, NULL, NULL },
		{ "device", NULL, &row->device, NULL, NULL },
		{ "canary", NULL, &row->canary, NULL, NULL },
		{ "local_user", &row->local_user, NULL, NULL, NULL },
		{ "only_senders", &row->scopes[SCOPE_SENDER], NULL, NULL, NULL },
		{ "only_recipients", &row->scopes[SCOPE_RECIPIENT], NULL, NULL, NULL },
		{ "only_networks", &row->scopes[SCOPE_NETWORK], NULL, NULL, NULL },
		{ "own_recipients", NULL, NULL, &row->own_limits.recipients, &row->has_own_limits },
		{ "own_message_size", NULL, NULL, &row->own_limits.message_size, &row->has_own_limits },
		{ "own_messages_per_hour", NULL, NULL, &row->own_limits.messages_per_hour, &row->has_own_limits },
		{ "senders", &row->senders, NULL, NULL, NULL },
		{ "contained", &row->contained, NULL, NULL, NULL },
		{ "sessions", NULL, NULL, &row->limits.sessions, &row->has_limits },
		{ "recipients", NULL, NULL, &row->limits.recipients, &row->has_limits },
		{ "message_size", NULL, NULL, &row->limits.message_size, &row->has_limits },
		{ "messages_per_hour", NULL, NULL, &row->limits.messages_per_hour, &row->has_limits },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(title, fields[i].title) != 0)
			continue;
		if (fields[i].yes != NULL)
			return read_yes(im, row, title, value, fields[i].yes);
		if (fields[i].number != NULL)
			return read_number(im, row, title, value, fields[i].number, fields[i].is_set);
		*fields[i].text = value;
		return ERR_OK;
	}
	if (strcmp(title, "expires") == 0)
		return read_time(im, row, value);
	if (strcmp(title, "state") == 0)
		return read_state(im, row, value);
	return fail(im, row->line, "'%s' is no title: account credential hash password expires device canary local_user only_senders "
	    "only_recipients only_networks own_recipients own_message_size own_messages_per_hour senders state contained sessions "
	    "recipients message_size messages_per_hour", title);
}

static int
parse_csv(struct import *im, char *text)
{
	char *titles[FIELDS_MAX], *fields[FIELDS_MAX], *none = text + strlen(text);
	size_t ntitles, n;
	unsigned line = 1;
	int err;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	if ((err = next_record(im, &text, &line, titles, &ntitles)) != 1)
		return err < 0 ? err : fail(im, 1, "the file is empty: its first line names the columns");
	for (size_t i = 0; i < ntitles; i++) {
		struct import_row row = { .line = 1 };
		char nothing[1] = "";

		if ((err = take_field(im, &row, titles[i], nothing)) != ERR_OK)
			return err;
	}
	for (;;) {
		struct import_row row = { .line = ++line, .account = none, .credential = none, .hash = none, .password = none,
		    .local_user = none, .contained = none };

		if ((err = next_record(im, &text, &line, fields, &n)) != 1)
			return err;
		if (n == 1 && fields[0][0] == 0)
			continue;
		if (n != ntitles)
			return fail(im, row.line, "there are %zu fields, and %zu titles in the first line", n, ntitles);
		for (size_t i = 0; i < n; i++)
			if ((err = take_field(im, &row, titles[i], fields[i])) != ERR_OK)
				return err;
		if (row.account[0] == 0)
			return fail(im, row.line, "there is no account");
		if (row.hash[0] != 0 && row.password[0] != 0)
			return fail(im, row.line, "there are a hash and a password: one of them is enough");
		if (row.local_user[0] != 0 && (row.hash[0] != 0 || row.password[0] != 0))
			return fail(im, row.line, "a local user's credential has no password");
		if ((err = add(im, &row)) != ERR_OK)
			return err;
	}
}

int
import_parse(struct import *im, enum import_form form, char *text, size_t len)
{
	unsigned number = 0;
	int err = ERR_OK;

	*im = (struct import){ .n = 0 };
	if (strlen(text) != len) {
		for (const char *p = text; *p != 0; p++)
			number += *p == '\n';
		return fail(im, number + 1, "there is a NUL character");
	}
	if (form == IMPORT_CSV)
		return parse_csv(im, text);
	for (char *line = text, *next; *line != 0 && err == ERR_OK; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] != 0);
		line[n] = 0;
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = 0;
		err = parse_passwd(im, form == IMPORT_DOVECOT, line, ++number);
	}
	return err;
}

char *
import_next_sender(char **list)
{
	char *p = *list, *start;
	bool quoted = false;

	while (*p == ' ' || *p == '\n')
		p++;
	if (*p == 0)
		return NULL;
	for (start = p; *p != 0 && (quoted || (*p != ' ' && *p != '\n')); p++) {
		if (quoted && *p == '\\' && p[1] != 0)
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	*list = p + (*p != 0);
	*p = 0;
	return start;
}
