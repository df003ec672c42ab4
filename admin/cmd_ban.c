/*
 * smtpadm ban: networks that are refused, and those that never are. Runs with the admin's rights and writes the registry in one
 * transaction a command; a running postern-auth reads it within a second and tells the master.
 */
#include "command.h"

#include <string.h>

#include "err.h"
#include "io.h"
#include "netaddr.h"
#include "out.h"
#include "people.h"
#include "show.h"
#include "str.h"

static const struct table_column columns[] = {
    {"NETWORK", false, 18},
    {"KIND", false, 0},
    {"SINCE", false, 0},
    {"UNTIL", false, 0},
    {"REASON", false, 12},
};

static int
parse_network(const char *word, struct netmask *m)
{
	if (netmask_parse(m, word) == ERR_OK && m->address.family != 0)
		return EX_OK;
	out_fix("192.0.2.7, 192.0.2.0/24 or 2001:db8::/32");
	return out_fail(EX_DATAERR, "bad_network", "'%s' is no network, or has bits behind its prefix", word);
}

static int
fail(struct registry *r, int err, const char *network)
{
	out_fix("smtpadm ban list");
	if (err == ERR_NOTFOUND)
		return out_fail(EX_NOUSER, "no_ban", "'%s' is not on the list", network);
	if (err == ERR_TOOBIG)
		return out_fail(EX_DATAERR, "too_many", "%s", registry_reason(r));
	return people_fail(r, err, network);
}

static void
report(const struct admin *a, const struct netmask *network, const char *action)
{
	char text[NETADDR_TEXT];
	struct json j;

	netmask_put(text, network);
	if (!out_is_json()) {
		out_say("network %s: %s%s", text, action, a->dry_run ? " (dry run: nothing was changed)" : "");
		return;
	}
	json_begin(&j);
	json_put_str(&j, "network", text);
	json_put_str(&j, "action", action);
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
}

static int
read_options(const struct admin *a, struct registry_ban *b)
{
	const char *time = admin_value(a, OPT_FOR), *reason = admin_value(a, OPT_REASON);
	uint64_t ms;

	if (time != NULL) {
		out_fix("--for 30m, --for 2h, --for 7d, or without --for: for ever");
		if (str_parse_duration(time, &ms) != ERR_OK || ms == 0 || ms > 100ULL * 366 * 86400 * 1000)
			return out_fail(EX_USAGE, "usage", "--for takes a time such as 30m, 2h or 7d, not '%s'", time);
		b->until_us = io_now_us() + ms * 1000;
	}
	out_fix("a shorter --reason");
	if (reason != NULL && (str_copy(b->reason, sizeof(b->reason), reason, strlen(reason)) != ERR_OK ||
	    !str_is_utf8(reason, strlen(reason))))
		return out_fail(EX_DATAERR, "bad_reason", "the reason is longer than %zu octets, or not UTF-8",
		    sizeof(b->reason) - 1);
	out_fix("%s", "");
	return EX_OK;
}

/* All networks of the command line, or none. */
static int
change(struct admin *a, struct registry_ban *b, bool is_removal, const char *action)
{
	static struct netmask networks[ADMIN_WORDS_MAX];
	struct registry *r;
	int code = EX_OK, err;

	for (size_t i = 0; i < a->nwords && code == EX_OK; i++)
		code = parse_network(a->words[i], &networks[i]);
	if (code != EX_OK || (code = people_begin(a, &r)) != EX_OK)
		return code;
	for (size_t i = 0; i < a->nwords && code == EX_OK; i++) {
		b->network = networks[i];
		err = is_removal ? registry_remove_ban(r, &networks[i]) : registry_set_ban(r, b);
		if (err != ERR_OK)
			code = fail(r, err, a->words[i]);
	}
	if ((code = people_finish(a, r, code)) == EX_OK)
		for (size_t i = 0; i < a->nwords; i++)
			report(a, &networks[i], action);
	registry_close(r);
	return code;
}

/* Not by a slip of the hand: half of the network, or this machine. */
static int
check_width(const struct admin *a)
{
	static const struct netaddr loopback[] = {
		{ .family = 4, .octets = { 127, 0, 0, 1 } }, { .family = 6, .octets = { [15] = 1 } }
	};
	struct netmask m;
	int code = EX_OK;

	for (size_t i = 0; i < a->nwords && code == EX_OK && !a->yes; i++) {
		bool is_wide, is_local = false;

		if ((code = parse_network(a->words[i], &m)) != EX_OK)
			break;
		is_wide = m.bits < (m.address.family == 4 ? 8 : 16);
		for (size_t k = 0; k < 2; k++)
			is_local = is_local || (m.bits <= (k == 0 ? 8 : 127) && netaddr_is_in(&loopback[k], &m));
		if (!is_wide && !is_local)
			continue;
		out_fix("smtpadm ban add %s --yes, if that is meant", a->words[i]);
		code = out_fail(EX_USAGE, "needs_yes", "'%s' %s", a->words[i], is_local ? "holds this machine's own addresses" :
		    "is wider than /8 (IPv4) or /16 (IPv6)");
	}
	return code;
}

int
cmd_ban_add(struct admin *a)
{
	struct registry_ban b = { .allow = false };
	int code = read_options(a, &b);

	if (code == EX_OK)
		code = check_width(a);
	return code != EX_OK ? code : change(a, &b, false, "banned");
}

int
cmd_ban_allow(struct admin *a)
{
	struct registry_ban b = { .allow = true };
	int code = read_options(a, &b);

	return code != EX_OK ? code : change(a, &b, false, "allowed");
}

int
cmd_ban_remove(struct admin *a)
{
	struct registry_ban b = { .allow = false };

	return change(a, &b, true, "removed");
}

struct listing {
	const struct admin	*a;
	struct table		 table;
};

static int
list_ban(const struct registry_ban *b, void *arg)
{
	struct listing *l = arg;
	char network[NETADDR_TEXT], text[40];
	struct json j;

	netmask_put(network, &b->network);
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "network", network);
		json_put_str(&j, "kind", b->allow ? "allow" : "ban");
		json_put_u64(&j, "created_time", b->created_us / 1000000);
		json_put_u64(&j, "until_time", b->until_us / 1000000);
		json_put_str(&j, "reason", b->reason);
		json_end(&j, stdout);
		return 0;
	}
	table_add(&l->table, network);
	table_add(&l->table, b->allow ? "allow" : "ban");
	table_add(&l->table, show_time(text, l->a->time, b->created_us));
	table_add(&l->table, b->until_us != 0 ? show_time(text, l->a->time, b->until_us) : "removed");
	table_add(&l->table, b->reason);
	return 0;
}

int
cmd_ban_list(struct admin *a)
{
	struct listing l = { .a = a };
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	table_open(&l.table, columns, sizeof(columns) / sizeof(columns[0]));
	if ((err = registry_walk_bans(r, list_ban, &l)) != ERR_OK)
		code = people_fail(r, err, "bans");
	if (!out_is_json() && l.table.n == 0 && code == EX_OK)
		out_say("no network is banned or allowed");
	table_print(&l.table);
	registry_close(r);
	return code;
}
