/*
 * Where new passwords come from: standard input, the terminal without echo, or chance; never the command line or
 * the environment. Runs in smtpadm with the admin's rights.
 */
#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "mem.h"
#include "out.h"

/* The first line of standard input without its end; *len is size or more when it is too long. */
static int
read_line(char *to, size_t size, size_t *len)
{
	size_t n = 0;
	char c = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_SYSTEM;
		if (got == 0 || c == '\n')
			break;
		if (n + 1 < size)
			to[n] = c;
		n++;
	}
	if (n < size && n > 0 && c == '\n' && to[n - 1] == '\r')
		n--;
	to[n < size ? n : size - 1] = 0;
	*len = n;
	return ERR_OK;
}

int
secret_read(struct secret *s)
{
	*s = (struct secret){ .len = 0 };
	if (read_line(s->text, sizeof(s->text), &s->len) != ERR_OK)
		return out_fail(EX_IOERR, "input", "standard input can't be read");
	out_fix("the same command with the password alone in the first line, of at most %d octets", PASSWORD_MAX);
	if (s->len == 0)
		return out_fail(
		    EX_DATAERR, "empty_password", "the first line of standard input is empty: a password stands there");
	if (s->len > PASSWORD_MAX)
		return out_fail(EX_DATAERR, "long_password", "the password is longer than %d octets", PASSWORD_MAX);
	if (memchr(s->text, 0, s->len) != NULL)
		return out_fail(EX_DATAERR, "bad_password", "the password holds a NUL character");
	out_fix("%s", "");
	return EX_OK;
}

int
secret_ask(const char *account, struct secret *s)
{
	char prompt[400], again[sizeof(s->text)];
	int code = EX_OK;

	*s = (struct secret){ .len = 0 };
	snprintf(prompt, sizeof(prompt), "New password for %.300s: ", account);
	if (!admin_ask(prompt, false, s->text, PASSWORD_MAX + 1) ||
	    !admin_ask("Once more: ", false, again, PASSWORD_MAX + 1))
		code = out_fail(EX_NOINPUT, "no_password", "no password was typed");
	else if (strcmp(s->text, again) != 0)
		code = out_fail(EX_DATAERR, "passwords_differ", "the two passwords differ");
	else if (s->text[0] == 0)
		code = out_fail(EX_DATAERR, "empty_password", "an empty password is refused");
	s->len = strlen(s->text);
	mem_wipe(again, sizeof(again));
	return code;
}

int
secret_generate(struct secret *s)
{
	*s = (struct secret){ .generated = true };
	if (password_generate(s->text) != ERR_OK)
		return out_fail(EX_OSERR, "system", "the system gives no random octets");
	s->len = strlen(s->text);
	return EX_OK;
}

int
secret_hash(struct secret *s)
{
	if (password_hash(s->text, s->len, s->hash) != ERR_OK)
		return out_fail(EX_OSERR, "system", "the password can't be hashed by crypt(3)");
	return EX_OK;
}

static int
read_hash(struct secret *s)
{
	size_t len;

	*s = (struct secret){ .len = 0 };
	if (read_line(s->hash, sizeof(s->hash), &len) != ERR_OK)
		return out_fail(EX_IOERR, "input", "standard input can't be read");
	out_fix("mkpasswd --method=yescrypt makes one; --stdin takes a password instead");
	if (len >= sizeof(s->hash) || strlen(s->hash) != len || !password_is_hash(s->hash))
		return out_fail(EX_DATAERR, "bad_hash",
		    "the first line of standard input is no crypt(5) hash of an accepted method: "
		    "yescrypt, sha512crypt, sha256crypt or bcrypt");
	out_fix("%s", "");
	return EX_OK;
}

int
secret_from_options(const struct admin *a, const char *account, struct secret *s)
{
	int ways = admin_has(a, OPT_STDIN) + admin_has(a, OPT_GENERATE) + admin_has(a, OPT_HASH_STDIN), code;

	*s = (struct secret){ .len = 0 };
	out_fix("--generate to have one made, or --stdin with the password in the first line of standard input");
	if (ways > 1)
		return out_fail(EX_USAGE, "usage", "--stdin, --generate and --hash-stdin exclude each other");
	if (!admin_has(a, OPT_HASH_STDIN) && !admin_has(a, OPT_STDIN) && !admin_has(a, OPT_GENERATE) && !admin_has_terminal())
		return out_fail(EX_USAGE, "usage", "there is no terminal to ask for the password on: give --stdin or --generate");
	out_fix("%s", "");
	if (admin_has(a, OPT_HASH_STDIN))
		return read_hash(s);
	if (admin_has(a, OPT_STDIN)) {
		code = secret_read(s);
	} else if (admin_has(a, OPT_GENERATE)) {
		code = secret_generate(s);
	} else {
		code = secret_ask(account, s);
	}
	return code != EX_OK ? code : secret_hash(s);
}

void
secret_wipe(struct secret *s)
{
	mem_wipe(s, sizeof(*s));
}
