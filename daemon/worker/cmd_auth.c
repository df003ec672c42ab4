/*
 * AUTH LOGIN and AUTH PLAIN (RFC 4954, RFC 4616). The worker decodes and asks; it never learns a hash, and wipes what
 * it was told. Run by workers.
 */
#include "command.h"

#include <string.h>

#include "base64.h"
#include "err.h"
#include "line.h"
#include "mem.h"
#include "request.h"
#include "session.h"
#include "str.h"

#define DECODED_MAX (LINE_AUTH_MAX / 4 * 3)

static uint8_t first[DECODED_MAX], second[DECODED_MAX];
static size_t written;	/* no octet of the two behind this one was written since the last wipe */

/* Decodes a response and wipes it; "=" is an empty one where `initial` (RFC 4954, section 4). */
static enum reply_id
decode(uint8_t *p, size_t n, bool initial, uint8_t *to, size_t *len)
{
	enum reply_id reply = REPLY_OK;
	size_t most = n < DECODED_MAX ? n : DECODED_MAX;

	*len = 0;
	if (written < most)
		written = most;
	if (n == 1 && p[0] == '*')
		reply = REPLY_AUTH_CANCELLED;
	else if (!(initial && n == 1 && p[0] == '=') && (n > LINE_AUTH_MAX || base64_decode(to, len, p, n) != ERR_OK))
		reply = REPLY_BAD_BASE64;
	mem_wipe(p, n);
	return reply;
}

/* Says a prompt and decodes the answer. */
static enum reply_id
prompt(struct session *s, enum reply_id text, uint8_t *to, size_t *len)
{
	uint8_t *line;
	size_t n;
	int err;

	if (session_say(s, text) != ERR_OK)
		return REPLY_NONE;
	if ((err = session_hear(s, &line, &n)) != ERR_OK)
		return err == ERR_TOOBIG ? REPLY_LINE_TOO_LONG : REPLY_NONE;
	return decode(line, n, false, to, len);
}

static enum reply_id
login(struct session *s, const struct ipc_login *m)
{
	struct ipc_login_answer answer;

	if (request_login(s, m, &answer) != ERR_OK) {
		s->ending = true;
		s->end = SESSION_SERVICE_LOST;
		return REPLY_AUTH_UNAVAILABLE;
	}
	switch (answer.verdict) {
	case LOGIN_OK:
		s->login = true;
		s->device = answer.device;
		return REPLY_AUTH_OK;
	case LOGIN_INVALID:
		return REPLY_AUTH_INVALID;
	case LOGIN_UNAVAILABLE:
		return REPLY_AUTH_UNAVAILABLE;
	case LOGIN_TOO_MANY:
		s->end = SESSION_REFUSED;
		return REPLY_TOO_MANY_SESSIONS;
	case LOGIN_THROTTLED:
		session_put_detail(s, "%lu", (unsigned long)answer.wait_seconds);
		return REPLY_LOGIN_THROTTLED;
	}
	return REPLY_AUTH_UNAVAILABLE;
}

/* authzid NUL user NUL password, exactly (RFC 4616, section 2). */
static enum reply_id
plain(struct session *s, const uint8_t *p, size_t n)
{
	const uint8_t *user = n != 0 ? memchr(p, 0, n) : NULL, *password;
	struct ipc_login m = { .mechanism = MECHANISM_PLAIN, .authzid = p };

	if (user == NULL)
		return REPLY_BAD_ARGUMENT;
	m.authzid_len = (size_t)(user - p);
	user++;
	if ((password = memchr(user, 0, n - (size_t)(user - p))) == NULL)
		return REPLY_BAD_ARGUMENT;
	m.user = user;
	m.user_len = (size_t)(password - user);
	password++;
	m.password = password;
	m.password_len = n - (size_t)(password - p);
	if (m.password_len != 0 && memchr(password, 0, m.password_len) != NULL)
		return REPLY_BAD_ARGUMENT;
	return login(s, &m);
}

static enum reply_id
auth_plain(struct session *s, uint8_t *initial, size_t n)
{
	enum reply_id reply;
	size_t len;

	if (initial != NULL)
		reply = decode(initial, n, true, first, &len);
	else
		reply = prompt(s, REPLY_AUTH_CONTINUE, first, &len);
	return reply == REPLY_OK ? plain(s, first, len) : reply;
}

static enum reply_id
auth_login(struct session *s, uint8_t *initial, size_t n)
{
	struct ipc_login m = { .mechanism = MECHANISM_LOGIN, .authzid = first, .user = first, .password = second };
	enum reply_id reply;

	if (initial != NULL)
		reply = decode(initial, n, true, first, &m.user_len);
	else
		reply = prompt(s, REPLY_AUTH_USER, first, &m.user_len);
	if (reply != REPLY_OK)
		return reply;
	if ((reply = prompt(s, REPLY_AUTH_PASSWORD, second, &m.password_len)) != REPLY_OK)
		return reply;
	return login(s, &m);
}

static const struct {
	const char	*name;
	enum reply_id	(*run)(struct session *s, uint8_t *initial, size_t n);
} mechanisms[] = {
	{ "PLAIN", auth_plain },
	{ "LOGIN", auth_login },
};

enum reply_id
cmd_auth(struct session *s, struct argument a)
{
	uint8_t *initial = NULL;
	size_t n = 0, left;

	while (n < a.n && a.p[n] != ' ' && a.p[n] != '\t')
		n++;
	left = a.n - n;
	if (left != 0) {
		initial = a.p + n;
		while (left != 0 && (*initial == ' ' || *initial == '\t')) {
			initial++;
			left--;
		}
	}
	if (s->login || s->facts.listener == LISTENER_LOCAL) {
		mem_wipe(a.p, a.n);
		return REPLY_ALREADY_AUTHENTICATED;
	}
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
		enum reply_id reply;

		if (!str_is_equal_nocase(a.p, n, mechanisms[i].name, strlen(mechanisms[i].name)))
			continue;
		if (session_needs_tls(s)) {
			mem_wipe(a.p, a.n);
			return REPLY_ENCRYPTION_REQUIRED;
		}
		reply = mechanisms[i].run(s, initial, left);
		mem_wipe(first, written);
		mem_wipe(second, written);
		written = 0;
		return reply;
	}
	mem_wipe(a.p, a.n);
	return REPLY_UNKNOWN_MECHANISM;
}
