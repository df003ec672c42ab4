/*
 * smtpadm route: where accepted mail goes on to. Runs with the admin's rights; changes the configuration file as smtpadm config does.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "conffile.h"
#include "err.h"
#include "out.h"
#include "process.h"
#include "route.h"
#include "route_keys.h"
#include "str.h"

static const struct table_column columns[] = {
	{ "ROUTE", false, 8 }, { "URL", false, 20 }, { "TLS", false, 0 }, { "USER", false, 8 }, { "FOR", false, 16 },
};

/* What mail takes it, in words. to holds ROUTE_VALUE; returns to. */
static char *
put_for(char *to, const struct conf_route *r)
{
	const struct {
		const char *word, *list;
	} parts[] = { { "to", r->to_domains }, { "by", r->accounts }, { "from", r->from_domains } };
	size_t used = 0;

	to[0] = 0;
	for (size_t i = 0; i < 3; i++)
		if (parts[i].list[0] != 0 && used < ROUTE_VALUE)
			used += (size_t)snprintf(to + used, ROUTE_VALUE - used, "%s%s %s", used != 0 ? ", " : "", parts[i].word, parts[i].list);
	if (used == 0)
		snprintf(to, ROUTE_VALUE, "all other mail");
	return to;
}

/* The same within a sentence. */
static void
say_added(const char *how, const struct conf_route *r, const char *name, const char *note)
{
	bool is_for_all = r->to_domains[0] == 0 && r->accounts[0] == 0 && r->from_domains[0] == 0;
	char text[ROUTE_VALUE];

	out_say("route %s %s added, for %s%s%s", name, how, is_for_all ? "" : "mail ", put_for(text, r), note);
}

static void
put_list(struct json *j, const char *name, const char *list)
{
	char word[256];

	json_open(j, name, '[');
	while (*list != 0) {
		size_t n = strcspn(list, " ");

		if (str_copy(word, sizeof(word), list, n) == ERR_OK)
			json_put_str(j, NULL, word);
		list += n + (list[n] != 0);
	}
	json_close(j, ']');
}

static void
put_json(const struct conf_route *r, const struct conf *c, bool is_dry_run)
{
	char text[ROUTE_VALUE];
	struct json j;

	json_begin(&j);
	json_put_str(&j, "route", r->name);
	json_put_str(&j, "url", route_put_url(text, r));
	json_put_str(&j, "tls", conf_route_tls(r->tls));
	json_put_str(&j, "user", r->user[0] != 0 ? r->user : NULL);
	json_put_str(&j, "secret", r->secret[0] != 0 ? r->secret : NULL);
	json_put_str(&j, "ca", r->ca[0] != 0 ? r->ca : NULL);
	put_list(&j, "to_domain", r->to_domains);
	put_list(&j, "account", r->accounts);
	put_list(&j, "from_domain", r->from_domains);
	json_put_bool(&j, "is_default", conf_find_route(c, "", "", "") == r);
	json_put_u64(&j, "sessions", r->sessions != 0 ? r->sessions : c->delivery_sessions_per_destination);
	json_put_bool(&j, "return_path", r->return_path);
	if (is_dry_run)
		json_put_bool(&j, "dry_run", true);
	json_end(&j, stdout);
}

int
cmd_route_list(struct admin *a)
{
	char text[ROUTE_VALUE];
	static struct conf c;
	struct table t;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	table_open(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < c.nroutes; i++) {
		const struct conf_route *r = &c.routes[i];

		if (out_is_json()) {
			put_json(r, &c, false);
			continue;
		}
		table_add(&t, r->name);
		table_add(&t, route_put_url(text, r));
		table_add(&t, conf_route_tls(r->tls));
		table_add(&t, r->user[0] != 0 ? r->user : "-");
		table_add(&t, put_for(text, r));
	}
	if (!out_is_json() && c.nroutes != 0)
		table_print(&t);
	route_warn_default(&c);
	return EX_OK;
}

static int
no_route(const char *name)
{
	out_fix("smtpadm route list");
	return out_fail(EX_NOHOST, "no_route", "there is no route '%s'", name);
}

int
cmd_route_show(struct admin *a)
{
	const struct conf_route *r;
	char text[ROUTE_VALUE];
	static struct conf c;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	if ((r = route_find(&c, a->words[0])) == NULL)
		return no_route(a->words[0]);
	if (out_is_json()) {
		put_json(r, &c, false);
		return EX_OK;
	}
	out_print("%-12s %s\n", "route", r->name);
	for (size_t i = 0; route_key(i) != NULL; i++)
		if (route_put_value(text, r, route_key(i))[0] != 0)
			out_print("%-12s %s\n", route_key(i), text);
	out_print("%-12s %s\n", "for", put_for(text, r));
	return EX_OK;
}

static void
say_next(const struct admin *a, const char *name)
{
	pid_t pid;

	if (process_find_master(a, &pid))
		out_say("%sreload puts it in force%s%s%s%s", out_program(), name != NULL ? "; " : "", name != NULL ? out_program() : "",
		    name != NULL ? "route test " : "", name != NULL ? name : "");
	else if (name != NULL)
		out_say("%sroute test %s tries it without sending anything", out_program(), name);
}

static int
add(struct admin *a, struct conffile *f, struct new_route *n)
{
	static struct conf c;
	int code;

	if (!f->exists) {
		out_fix("smtpadm setup");
		return out_fail(EX_NOINPUT, "no_instance", "there is no %s", f->path);
	}
	if (admin_has(a, OPT_STDIN) && admin_has(a, OPT_PASSWORD_STDIN))
		return out_fail(EX_USAGE, "usage", "--stdin and --password-stdin are the same");
	if ((code = route_plan(n, a, f, &c, a->words[0], a->words[1], true)) != EX_OK)
		return code;
	if (a->dry_run) {
		if (out_is_json())
			put_json(n->route, &c, true);
		say_added("would be", n->route, n->name, " (dry run: nothing was changed)");
		return EX_OK;
	}
	if ((code = route_write_secret(n)) != EX_OK)
		return code;
	if ((code = conffile_save(f)) != EX_OK) {
		if (n->path[0] != 0)
			unlink(n->path);
		return code;
	}
	say_added("was", n->route, n->name, "");
	if (out_is_json())
		put_json(n->route, &c, false);
	route_warn_default(&c);
	say_next(a, n->name);
	return EX_OK;
}

int
cmd_route_add(struct admin *a)
{
	struct new_route n = { .path = "" };
	struct conffile f;
	int code;

	if ((code = conffile_open(&f, a)) != EX_OK)
		return code;
	code = add(a, &f, &n);
	route_plan_end(&n);
	conffile_close(&f);
	return code;
}

static void
report_removed(const struct admin *a, const char *name)
{
	struct json j;

	if (!out_is_json())
		return;
	json_begin(&j);
	json_put_str(&j, "route", name);
	json_put_str(&j, "action", "removed");
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
}

static int
take_away(struct admin *a, struct conffile *f)
{
	const char *name = a->words[0];
	char section[64], usual[64], path[PATH_MAX];
	const struct conf_route *r;
	bool has_secret;
	static struct conf c;
	int code;

	out_fix("smtpadm config set KEY VALUE, or an editor");
	if ((code = conffile_parse(f, &c)) != EX_OK)
		return code;
	out_fix("%s", "");
	if ((r = route_find(&c, name)) == NULL)
		return no_route(name);
	if ((code = admin_confirm(a, "remove the route", "routes", &name, 1)) != EX_OK)
		return code;
	/* Only the file that route add makes: another one may serve others, too. */
	str_fmt(usual, sizeof(usual), "routes/%s.secret", name);
	has_secret = strcmp(r->secret, usual) == 0 && instance_file(&a->in, usual, path) == ERR_OK;
	str_fmt(section, sizeof(section), "route %s", name);
	if ((code = conffile_remove(f, section)) != EX_OK || (code = conffile_parse(f, &c)) != EX_OK)
		return code;
	if (a->dry_run) {
		report_removed(a, name);
		out_say("route %s would be removed (dry run: nothing was changed)", name);
		return EX_OK;
	}
	if ((code = conffile_save(f)) != EX_OK)
		return code;
	if (has_secret)
		unlink(path);
	report_removed(a, name);
	out_say("route %s was removed%s", name, has_secret ? ", with the file of its password" : "");
	route_warn_default(&c);
	say_next(a, NULL);
	return EX_OK;
}

int
cmd_route_remove(struct admin *a)
{
	struct conffile f;
	int code;

	if ((code = conffile_open(&f, a)) != EX_OK)
		return code;
	code = take_away(a, &f);
	conffile_close(&f);
	return code;
}
