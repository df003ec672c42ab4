/*
 * smtpadm session list and kill: who is connected to the running service, and an end to it. Runs with the admin's rights; all that is
 * known comes from the master.
 */
#include "command.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "control.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "netaddr.h"
#include "out.h"
#include "show.h"
#include "str.h"

static const struct table_column columns[] = {
	{ "SESSION", false, 0 }, { "PEER", false, 15 }, { "LISTENER", false, 0 }, { "AGE", true, 0 }, { "TLS", false, 0 },
	{ "ACCOUNT", false, 12 },
};

struct sessions {
	struct ipc_control_session	*list;
	size_t				 n, size;
};

static const char *const tls_names[] = { "no", "yes", "-" };

static int
compare(const void *x, const void *y)
{
	const struct ipc_control_session *a = x, *b = y;

	return a->session < b->session ? -1 : a->session > b->session;
}

static bool
has_account(const struct admin *a, const struct ipc_control_session *s)
{
	const char *glob;
	size_t i = 0;

	if (!admin_has(a, OPT_ACCOUNT))
		return true;
	while ((glob = admin_next(a, OPT_ACCOUNT, &i)) != NULL)
		if (fnmatch(glob, s->account, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	return false;
}

static bool
has_peer(const struct admin *a, const struct ipc_control_session *s)
{
	struct netmask net;
	const char *text;
	size_t i = 0;

	if (!admin_has(a, OPT_PEER))
		return true;
	while ((text = admin_next(a, OPT_PEER, &i)) != NULL)
		if (netmask_parse(&net, text) == ERR_OK && netaddr_is_in(&s->peer, &net))
			return true;
	return false;
}

static int
check_filters(const struct admin *a)
{
	struct netmask net;
	const char *text;
	size_t i = 0;

	while ((text = admin_next(a, OPT_PEER, &i)) != NULL)
		if (netmask_parse(&net, text) != ERR_OK) {
			out_fix("--peer 192.0.2.7, --peer 192.0.2.0/24 or --peer 2001:db8::/32");
			return out_fail(EX_USAGE, "usage",
			    "--peer takes an address or a network such as 192.0.2.0/24, not '%s'", text);
		}
	return EX_OK;
}

/* The sessions that match the filters, the oldest first. */
static int
gather(const struct admin *a, struct sessions *s)
{
	static struct control c;
	struct ipc_control_session row;
	struct ipc_message m;
	int code;

	*s = (struct sessions){ .n = 0 };
	if ((code = check_filters(a)) != EX_OK || (code = control_open(&c, a)) != EX_OK ||
	    (code = control_ask_empty(&c, IPC_CONTROL_SESSIONS)) != EX_OK)
		return code;
	for (;;) {
		if ((code = control_hear(&c, IPC_CONTROL_SESSIONS_ANSWER, &m)) != EX_OK)
			return code;
		if (ipc_get_control_session(&m.body, &row) != ERR_OK)
			return control_fail(&c);
		if (row.session == 0)
			break;
		if (!has_account(a, &row) || !has_peer(a, &row))
			continue;
		if (s->n == s->size) {
			struct ipc_control_session *grown;

			s->size = s->size != 0 ? 2 * s->size : 64;
			grown = xcalloc(s->size, sizeof(*grown));
			if (s->n != 0)
				memcpy(grown, s->list, s->n * sizeof(*grown));
			free(s->list);
			s->list = grown;
		}
		s->list[s->n++] = row;
	}
	control_close(&c);
	if (s->n != 0)
		qsort(s->list, s->n, sizeof(*s->list), compare);
	return EX_OK;
}

static uint64_t
began(const struct ipc_control_session *s)
{
	return io_now_us() - s->age_ms * 1000;
}

static void
put_json(const struct ipc_control_session *s)
{
	char text[NETADDR_TEXT], id[24], since[40];
	struct json j;

	str_put_time(since, began(s));
	json_begin(&j);
	json_put_str(&j, "session_id", str_put_hex64(id, s->session));
	json_put_str(&j, "peer", netaddr_put(text, &s->peer));
	json_put_str(&j, "listener", conf_listener_kind(s->listener));
	json_put_str(&j, "since", since);
	json_put_u64(&j, "age", s->age_ms / 1000);
	json_put_str(&j, "account", s->account[0] != 0 ? s->account : NULL);
	if (s->tls == SESSION_TLS_UNKNOWN)
		json_put_str(&j, "tls", NULL);
	else
		json_put_bool(&j, "tls", s->tls == SESSION_TLS_YES);
	json_put_bool(&j, "ending", s->ending);
	json_end(&j, stdout);
}

static void
put_row(const struct admin *a, struct table *t, const struct ipc_control_session *s)
{
	char peer[NETADDR_TEXT], id[24], when[40];

	table_add(t, str_put_hex64(id, s->session));
	table_add(t, netaddr_put(peer, &s->peer));
	table_add(t, conf_listener_kind(s->listener));
	table_add(t, a->time == TIME_DEFAULT ? show_age(when, began(s)) : show_time(when, a->time, began(s)));
	table_add(t, tls_names[s->tls]);
	table_add(t, s->ending ? "(ending)" : s->account[0] != 0 ? s->account : "-");
}

int
cmd_session_list(struct admin *a)
{
	struct sessions s;
	struct table t;
	int code;

	if ((code = gather(a, &s)) != EX_OK)
		return code;
	table_open(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < s.n; i++) {
		if (out_is_json())
			put_json(&s.list[i]);
		else
			put_row(a, &t, &s.list[i]);
	}
	if (!out_is_json())
		table_print(&t);
	if (s.n == 0)
		out_say("%s", admin_has(a, OPT_ACCOUNT) || admin_has(a, OPT_PEER) ? "no session matches" : "no session");
	free(s.list);
	return s.n == 0 && (admin_has(a, OPT_ACCOUNT) || admin_has(a, OPT_PEER)) ? EX_NO : EX_OK;
}

/* 16 hexadecimal digits, as lists and logs show it; fewer mean leading zeros. */
static bool
parse_id(const char *text, uint64_t *id)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	*id = n != 0 && n <= 16 ? strtoull(text, NULL, 16) : 0;
	return *id != 0;
}

/* An account's sessions: a person is shown what would end before it does. */
static int
confirm(struct admin *a, const char *account, size_t *count)
{
	const char *samples[3] = { "", "", "" };
	char texts[3][NETADDR_TEXT], what[64];
	struct sessions s;
	int code;

	*count = 0;
	if ((code = gather(a, &s)) != EX_OK)
		return code;
	/* An account, no pattern: that is how the service is told. */
	for (size_t i = 0; i < s.n; i++) {
		const char *name = s.list[i].account;

		if (!str_is_equal_nocase(name, strlen(name), account, strlen(account)))
			continue;
		if (*count < 3)
			samples[*count] = netaddr_put(texts[*count], &s.list[i].peer);
		++*count;
	}
	free(s.list);
	if (*count == 0)
		return EX_OK;
	str_fmt(what, sizeof(what), "%zu session%s will be ended, of", *count, *count == 1 ? "" : "s");
	return admin_confirm(a, what, "sessions", samples, *count);
}

static int
report(const struct admin *a, uint32_t count, const char *account)
{
	struct json j;

	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "action", "killed");
		json_put_u64(&j, "sessions", count);
		json_put_str(&j, "account", account);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
	}
	out_say("%u session%s %s", (unsigned)count, count == 1 ? "" : "s", a->dry_run ? "would be ended" :
	    "told to end; what does not within 5 seconds is killed");
	return EX_OK;
}

static int
no_session(const char *id)
{
	out_fix("smtpadm session list");
	return out_fail(EX_NOUSER, "no_session", "there is no session of the number '%s'", id);
}

/* A filter that matched nothing, as in session list. */
static int
none_of(const char *account)
{
	out_fix("smtpadm session list");
	return out_fail(EX_NO, "no_session", "there is no session of '%s'", account);
}

/* What the service would answer, without telling it to do anything. */
static int
would_kill(const struct admin *a, const char *id, uint64_t session)
{
	struct sessions s;
	size_t i = 0;
	bool found;
	int code;

	if ((code = gather(a, &s)) != EX_OK)
		return code;
	while (i < s.n && s.list[i].session != session)
		i++;
	found = i < s.n;
	free(s.list);
	return found ? report(a, 1, NULL) : no_session(id);
}

int
cmd_session_kill(struct admin *a)
{
	struct ipc_control_kill k = { .session = 0 };
	const char *account = admin_value(a, OPT_ACCOUNT), *id = a->nwords != 0 ? a->words[0] : NULL;
	struct ipc_control_done d = { .code = 0 };
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;
	size_t count = 1, i = 0;
	int code;

	if (account != NULL && (admin_next(a, OPT_ACCOUNT, &i), admin_next(a, OPT_ACCOUNT, &i)) != NULL) {
		out_fix("smtpadm session kill --account ACCOUNT for each");
		return out_fail(EX_USAGE, "usage", "one --account at a time");
	}
	if ((id == NULL) == (account == NULL)) {
		out_fix("smtpadm session list, then smtpadm session kill SESSION, or --account ACCOUNT");
		return out_fail(EX_USAGE, "usage", "'session kill' needs either a session or --account");
	}
	out_fix("smtpadm session list");
	if (id != NULL && !parse_id(id, &k.session))
		return out_fail(EX_USAGE, "usage", "'%s' is no session: it has 16 hexadecimal digits, see session list", id);
	out_fix("%s", "");
	if (account != NULL && str_copy(k.account, sizeof(k.account), account, strlen(account)) != ERR_OK)
		return none_of(account);
	if (account != NULL && (code = confirm(a, account, &count)) != EX_OK)
		return code;
	if (count == 0)
		return none_of(account);
	if (a->dry_run)
		return id != NULL ? would_kill(a, id, k.session) : report(a, (uint32_t)count, account);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_control_kill(&w, &k);
	if ((code = control_order(a, &w, IPC_CONTROL_KILL_ANSWER, &d)) != EX_OK)
		return code;
	if (d.count == 0)
		return account != NULL ? none_of(account) : no_session(id);
	return report(a, d.count, account);
}
