/*
 * smtpadm config: reading and changing the configuration file. Runs with the admin's rights. A change is parsed
 * before it is written, and touches one line.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "conf.h"
#include "conffile.h"
#include "err.h"
#include "netaddr.h"
#include "out.h"
#include "process.h"
#include "route_keys.h"
#include "str.h"

static const char *const listener_keys[] = { "kind", "address", "networks" };
#define NLISTENER_KEYS (sizeof(listener_keys) / sizeof(listener_keys[0]))

static const char *const certificate_keys[] = { "certificate", "key" };

static const char *const type_names[] = {
	[CONF_TEXT] = "text", [CONF_HOSTNAME] = "hostname", [CONF_NUMBER] = "number", [CONF_SIZE] = "size",
	[CONF_DURATION] = "duration", [CONF_BOOL] = "on|off", [CONF_WORD] = "word", [CONF_SCHEDULE] = "times", [CONF_SERVERS] = "addresses",
	[CONF_ADDRESS] = "address",
};

/* A dotted name: its section as it stands in the file, and its key. */
struct key {
	char				 section[128], word[128];
	const struct conf_setting	*setting;	/* NULL: a listener's */
};

static int
parse_listener_key(const char *name, struct key *k)
{
	const char *start = name + strlen("listener."), *dot = strrchr(start, '.'), *nearest;

	if (dot == NULL || dot == start || str_copy(k->word, sizeof(k->word), dot + 1, strlen(dot + 1)) != ERR_OK ||
	    str_fmt(k->section, sizeof(k->section), "listener %.*s", (int)(dot - start), start) != ERR_OK ||
	    strcspn(k->section, "[]\n\r;") != strlen(k->section))
		return out_fail(
		    EX_USAGE, "unknown_key", "a listener's keys are listener.NAME.kind, .address and .networks");
	for (size_t i = 0; i < NLISTENER_KEYS; i++)
		if (strcmp(k->word, listener_keys[i]) == 0)
			return EX_OK;
	nearest = str_nearest(k->word, listener_keys, NLISTENER_KEYS);
	return out_fail(EX_USAGE, "unknown_key", "a listener has no key '%s', did you mean '%.*s.%s'?", k->word,
	    (int)(dot - name), name, nearest != NULL ? nearest : "address");
}

static int
parse_certificate_key(const char *name, struct key *k)
{
	const char *start = name + strlen("certificate."), *dot = strrchr(start, '.');

	if (dot == NULL || dot == start || str_copy(k->word, sizeof(k->word), dot + 1, strlen(dot + 1)) != ERR_OK ||
	    str_fmt(k->section, sizeof(k->section), "certificate %.*s", (int)(dot - start), start) != ERR_OK ||
	    strcspn(k->section, "[]\n\r;") != strlen(k->section) ||
	    (strcmp(k->word, certificate_keys[0]) != 0 && strcmp(k->word, certificate_keys[1]) != 0))
		return out_fail(EX_USAGE, "unknown_key",
		    "a certificate's keys are certificate.NAME.certificate and certificate.NAME.key");
	return EX_OK;
}

static int
parse_route_key(const char *name, struct key *k)
{
	const char *start = name + strlen("route."), *dot = strrchr(start, '.'), *words[16], *nearest;
	size_t n = 0;

	if (dot == NULL || dot == start || str_copy(k->word, sizeof(k->word), dot + 1, strlen(dot + 1)) != ERR_OK ||
	    str_fmt(k->section, sizeof(k->section), "route %.*s", (int)(dot - start), start) != ERR_OK ||
	    strcspn(k->section, "[]\n\r;") != strlen(k->section))
		return out_fail(EX_USAGE, "unknown_key", "a route's keys are route.NAME.url, .tls and so on");
	for (; (words[n] = route_key(n)) != NULL; n++)
		if (strcmp(k->word, words[n]) == 0)
			return EX_OK;
	nearest = str_nearest(k->word, words, n);
	return out_fail(EX_USAGE, "unknown_key", "a route has no key '%s'%s%s%s", k->word, nearest != NULL ? ", did you mean '" : "",
	    nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static int
parse_key(const char *name, struct key *k)
{
	const char *dot, *nearest;

	*k = (struct key){ .section = "" };
	out_fix("smtpadm config explain");
	if (strncmp(name, "listener.", 9) == 0)
		return parse_listener_key(name, k);
	if (strncmp(name, "certificate.", 12) == 0)
		return parse_certificate_key(name, k);
	if (strncmp(name, "route.", 6) == 0)
		return parse_route_key(name, k);
	if ((k->setting = conf_find(name)) == NULL) {
		if ((nearest = conf_nearest(name)) != NULL)
			return out_fail(
			    EX_USAGE, "unknown_key", "unknown setting '%s', did you mean '%s'?", name, nearest);
		return out_fail(EX_USAGE, "unknown_key", "unknown setting '%s'", name);
	}
	dot = strrchr(name, '.');
	if (dot != NULL)
		str_fmt(k->section, sizeof(k->section), "%.*s", (int)(dot - name), name);
	str_fmt(k->word, sizeof(k->word), "%s", dot != NULL ? dot + 1 : name);
	return EX_OK;
}

static const struct conf_listener *
find_listener(const struct conf *c, const struct key *k)
{
	for (size_t i = 0; strncmp(k->section, "listener ", 9) == 0 && i < c->nlisteners; i++)
		if (strcmp(c->listeners[i].name, k->section + strlen("listener ")) == 0)
			return &c->listeners[i];
	return NULL;
}

/* The file that a key of a [certificate NAME] names, or NULL. */
static const char *
find_certificate_value(const struct conf *c, const struct key *k)
{
	for (size_t i = 0; strncmp(k->section, "certificate ", 12) == 0 && i < c->ncertificates; i++)
		if (strcmp(c->certificates[i].name, k->section + strlen("certificate ")) == 0)
			return strcmp(k->word, "key") == 0 ? c->certificates[i].key : c->certificates[i].certificate;
	return NULL;
}

/* to holds 1024 octets: 16 networks fit. */
static char *
put_listener_value(char *to, const struct conf_listener *l, const char *word)
{
	char text[NETADDR_TEXT];
	size_t used = 0;

	to[0] = 0;
	if (strcmp(word, "kind") == 0)
		str_fmt(to, 1024, "%s", conf_listener_kind(l->kind));
	else if (strcmp(word, "address") == 0)
		netaddr_put(to, &l->address);
	for (size_t i = 0; strcmp(word, "networks") == 0 && i < l->nnetworks; i++)
		used += (size_t)snprintf(to + used, 1024 - used, "%s%s/%u", used != 0 ? " " : "",
		    netaddr_put_host(text, &l->networks[i].address), (unsigned)l->networks[i].bits);
	return to;
}

/* The route of a key, or NULL. */
static const struct conf_route *
find_route(const struct conf *c, const struct key *k)
{
	return strncmp(k->section, "route ", 6) == 0 ? route_find(c, k->section + 6) : NULL;
}

static void
show(const char *name, const char *value, const char *fallback)
{
	struct json j;

	if (!out_is_json()) {
		out_print("%s = %s\n", name, value);
		return;
	}
	json_begin(&j);
	json_put_str(&j, "key", name);
	json_put_str(&j, "value", value);
	json_put_str(&j, "default", fallback);
	json_put_bool(&j, "changed", fallback == NULL || strcmp(value, fallback) != 0);
	json_end(&j, stdout);
}

static void
show_listener(const struct conf_listener *l)
{
	char name[128], value[1024];

	for (size_t i = 0; i < NLISTENER_KEYS; i++) {
		put_listener_value(value, l, listener_keys[i]);
		str_fmt(name, sizeof(name), "listener.%s.%s", l->name, listener_keys[i]);
		if (value[0] != 0)
			show(name, value, NULL);
	}
}

static void
show_route(const struct conf_route *r)
{
	char name[128], value[ROUTE_VALUE];

	for (size_t i = 0; route_key(i) != NULL; i++) {
		str_fmt(name, sizeof(name), "route.%s.%s", r->name, route_key(i));
		if (route_put_value(value, r, route_key(i))[0] != 0)
			show(name, value, NULL);
	}
}

/* A setting's value; what is left to the instance is shown as it is in force. to holds 1024 octets; returns to. */
static const char *
put_value(char *to, const struct admin *a, const struct conf *c, const struct conf_setting *s)
{
	conf_put_value(to, c, s);
	if (to[0] == 0 && strcmp(s->name, "spool.path") == 0)
		str_fmt(to, 1024, "%s", a->in.spool_dir);
	return to;
}

int
cmd_config_show(struct admin *a)
{
	static struct conf c, defaults;
	const struct conf_setting *s;
	struct conf_error error;
	char value[1024], fallback[1024];
	size_t n;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	conf_parse(&defaults, "", 0, &error);
	s = conf_settings(&n);
	for (size_t i = 0; i < n; i++) {
		put_value(value, a, &c, &s[i]);
		put_value(fallback, a, &defaults, &s[i]);
		if (!admin_has(a, OPT_CHANGED) || strcmp(value, fallback) != 0)
			show(s[i].name, value, fallback);
	}
	for (size_t i = 0; i < c.nlisteners; i++)
		show_listener(&c.listeners[i]);
	for (size_t i = 0; i < c.ncertificates; i++) {
		struct conf_pair pair;

		if (conf_pair(&c, i + 1, &pair)) {
			show(pair.certificate_setting, pair.certificate, NULL);
			show(pair.key_setting, pair.key, NULL);
		}
	}
	for (size_t i = 0; i < c.nroutes; i++)
		show_route(&c.routes[i]);
	return EX_OK;
}

static int
no_section(const struct key *k)
{
	out_fix("smtpadm config show");
	return out_fail(EX_NOUSER, k->section[0] == 'c' ? "no_certificate" : k->section[0] == 'r' ? "no_route" :
	    "no_listener", "there is no [%s]", k->section);
}

int
cmd_config_get(struct admin *a)
{
	static struct conf c, defaults;
	const struct conf_listener *l;
	const struct conf_route *route;
	const char *file;
	char value[ROUTE_VALUE], fallback[1024];
	struct conf_error error;
	struct key k;
	int code;

	if ((code = parse_key(a->words[0], &k)) != EX_OK || (code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	out_fix("%s", "");
	conf_parse(&defaults, "", 0, &error);
	if (k.setting != NULL)
		put_value(value, a, &c, k.setting);
	else if ((l = find_listener(&c, &k)) != NULL)
		put_listener_value(value, l, k.word);
	else if ((file = find_certificate_value(&c, &k)) != NULL)
		str_fmt(value, sizeof(value), "%s", file);
	else if ((route = find_route(&c, &k)) != NULL)
		route_put_value(value, route, k.word);
	else
		return no_section(&k);
	if (out_is_json())
		show(a->words[0], value, k.setting != NULL ? put_value(fallback, a, &defaults, k.setting) : NULL);
	else
		out_print("%s\n", value);
	return EX_OK;
}

/* The file must mean what was asked for: a value would be cut at " ;" in it, and blanks at its ends are lost. */
static int
check_meaning(const struct key *k, const struct conf *c, const char *value)
{
	const struct conf_route *r = k->setting == NULL ? find_route(c, k) : NULL;
	const struct conf_setting *s = k->setting;
	char held[1024];

	/* Lists of a route may stand in several lines: one alone would not be what was asked for. */
	if (r != NULL && route_has_more(r, k->word, value)) {
		out_fix("an editor");
		return out_fail(EX_DATAERR, "several_lines", "%s of [%s] stands in several lines of the file", k->word, k->section);
	}
	if (s == NULL && strchr(value, ';') != NULL) {
		out_fix("a name without ';'");
		return out_fail(EX_DATAERR, "bad_value", "the configuration file can't hold '%s': behind ';' stands a comment", value);
	}
	if (s == NULL || (s->words != NULL || s->max != 0) ||
	    strcmp(conf_put_value(held, c, s), value) == 0)
		return EX_OK;
	return out_fail(
	    EX_DATAERR, "bad_value", "the configuration file can't hold '%s': it would be read as '%s'", value, held);
}

/* What posternd takes up only as it starts (daemon/master/reload.c). */
static bool
needs_restart(const char *name)
{
	static const char *const names[] = { "spool.path", "spool.commit_threads", "spool.journal", "users.base", "log.target" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
report_set(const struct admin *a, const char *name, const char *value)
{
	struct json j;

	if (!out_is_json())
		return;
	json_begin(&j);
	json_put_str(&j, "key", name);
	json_put_str(&j, "value", value);
	json_put_bool(&j, "dry_run", a->dry_run);
	json_end(&j, stdout);
}

static int
set(const struct admin *a, struct conffile *f, const struct key *k)
{
	const char *name = a->words[0], *value = a->words[1];
	static struct conf c;
	pid_t pid;
	int code;

	if (value[strcspn(value, "\r\n")] != 0)
		return out_fail(EX_DATAERR, "bad_value", "a value is one line");
	if (!f->exists) {
		out_fix("smtpadm setup");
		return out_fail(EX_NOINPUT, "no_instance", "there is no %s", f->path);
	}
	if ((code = conffile_set(f, k->section, k->word, value)) != EX_OK)
		return code;
	out_fix("smtpadm config explain%s%s", k->setting != NULL ? " " : "", k->setting != NULL ? name : "");
	if ((code = conffile_parse(f, &c)) != EX_OK || (code = check_meaning(k, &c, value)) != EX_OK)
		return code;
	out_fix("%s", "");
	if (a->dry_run) {
		report_set(a, name, value);
		out_say("%s would be %s (dry run: nothing was changed)", name, value);
		return EX_OK;
	}
	if ((code = conffile_save(f)) != EX_OK)
		return code;
	report_set(a, name, value);
	out_say("%s is now %s", name, value);
	if (process_find_master(a, &pid) && needs_restart(name))
		out_say("it is in force when posternd is started again; until then a reload is refused");
	else if (process_find_master(a, &pid))
		out_say("%sreload puts it in force for new sessions", out_program());
	return EX_OK;
}

int
cmd_config_set(struct admin *a)
{
	struct conffile f;
	struct key k;
	int code;

	if ((code = parse_key(a->words[0], &k)) != EX_OK)
		return code;
	out_fix("%s", "");
	if ((code = conffile_open(&f, a)) != EX_OK)
		return code;
	code = set(a, &f, &k);
	conffile_close(&f);
	return code;
}

static void
explain(const struct conf_setting *s)
{
	char low[24] = "", high[24] = "", words[128] = "";
	size_t used = 0;
	struct json j;

	if (s->type == CONF_NUMBER || s->type == CONF_SIZE || s->type == CONF_DURATION) {
		void (*put)(char *, uint64_t) = s->type == CONF_SIZE ? str_put_size : str_put_duration;

		if (s->type == CONF_NUMBER) {
			str_put_u64(low, s->min);
			str_put_u64(high, s->max);
		} else {
			put(low, s->min);
			put(high, s->max);
		}
	}
	for (size_t i = 0; s->words != NULL && s->words[i] != NULL; i++)
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s", i != 0 ? "|" : "", s->words[i]);
	if (!out_is_json()) {
		out_print("%s\n    %s\n    %s%s%s%s%s; default %s\n", s->name, s->help,
		    words[0] != 0 ? words : type_names[s->type], low[0] != 0 ? " from " : "", low,
		    low[0] != 0 ? " to " : "", high, s->fallback[0] != 0 ? s->fallback : "(empty)");
		return;
	}
	json_begin(&j);
	json_put_str(&j, "key", s->name);
	json_put_str(&j, "type", type_names[s->type]);
	json_put_str(&j, "default", s->fallback);
	if (low[0] != 0) {
		json_put_str(&j, "min", low);
		json_put_str(&j, "max", high);
	}
	if (words[0] != 0)
		json_put_str(&j, "words", words);
	json_put_str(&j, "help", s->help);
	json_end(&j, stdout);
}

static void
explain_sections(void)
{
	static const struct conf_setting rows[] = {
		{ .name = "listener.NAME.kind", .type = CONF_TEXT, .fallback = "NAME",
		    .help = "submission (STARTTLS), submissions (implicit TLS) or plain (no TLS)." },
		{ .name = "listener.NAME.address", .type = CONF_TEXT, .fallback = "",
		    .help = "ADDRESS:PORT to listen on, such as 0.0.0.0:587 or [::]:587." },
		{ .name = "listener.NAME.networks", .type = CONF_TEXT, .fallback = "",
		    .help = "For kind plain: local networks that may come, beside loopback." },
		{ .name = "certificate.NAME.certificate", .type = CONF_TEXT, .fallback = "tls/NAME.pem",
		    .help = "File of a certificate and its chain for further names, chosen by SNI." },
		{ .name = "certificate.NAME.key", .type = CONF_TEXT, .fallback = "tls/NAME-key.pem",
		    .help = "File of its private key, readable by its owner only." },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		explain(&rows[i]);
	for (size_t i = 0; route_key(i) != NULL; i++) {
		struct conf_setting row = { .type = CONF_TEXT, .fallback = route_key_default(i), .help = route_key_help(i) };
		char name[64];

		str_fmt(name, sizeof(name), "route.NAME.%s", route_key(i));
		row.name = name;
		explain(&row);
	}
}

int
cmd_config_explain(struct admin *a)
{
	const struct conf_setting *s;
	struct key k;
	size_t n;
	int code;

	if (a->nwords != 0) {
		if ((code = parse_key(a->words[0], &k)) != EX_OK)
			return code;
		out_fix("%s", "");
		if (k.setting != NULL)
			explain(k.setting);
		else
			explain_sections();
		return EX_OK;
	}
	s = conf_settings(&n);
	for (size_t i = 0; i < n; i++)
		explain(&s[i]);
	explain_sections();
	return EX_OK;
}

int
cmd_config_check(struct admin *a)
{
	static struct conf c;
	struct json j;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || (code = check_instance(a, &c)) != EX_OK)
		return code;
	if (out_is_json()) {
		json_begin(&j);
		json_put_str(&j, "file", a->in.conf_file);
		json_put_bool(&j, "ok", true);
		json_end(&j, stdout);
	}
	out_say("%s: in order", a->in.conf_file);
	return EX_OK;
}
