/*
 * The configuration that smtpadm setup writes: host name and listeners, put into the text that is there or into a
 * new one. Runs with the admin's rights; changes the text in memory only, and names each value that it replaces.
 */
#include "setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "err.h"
#include "io.h"
#include "netaddr.h"
#include "out.h"
#include "str.h"

static const char opening[] = "# Postern: see postern.conf(5); 'smtpadm config explain' lists every setting.\n\n";

struct listen {
	enum listener_kind	kind;
	struct netaddr		address;
	bool			done;
};

static int
find_hostname(struct setup *s)
{
	const char *given = admin_value(s->a, OPT_HOSTNAME);
	char name[256] = "", prompt[320], typed[256];

	if (given == NULL && s->file.exists)
		given = s->conf.hostname;
	if (given == NULL) {
		if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '[' ||
		    !addr_is_domain(name, strlen(name), false))
			str_fmt(name, sizeof(name), "localhost");
		snprintf(prompt, sizeof(prompt), "Host name of the service [%s]: ", name);
		if (admin_has_terminal() && admin_ask(prompt, true, typed, sizeof(typed)) && typed[0] != 0)
			str_fmt(name, sizeof(name), "%s", typed);
		given = name;
	}
	out_fix("smtpadm setup --hostname mail.example.org");
	if (given[0] == '[' || !addr_is_domain(given, strlen(given), false) ||
	    str_fmt(s->hostname, sizeof(s->hostname), "%s", given) != ERR_OK)
		return out_fail(EX_DATAERR, "bad_hostname", "'%s' is no host name such as mail.example.org", given);
	out_fix("%s", "");
	return EX_OK;
}

static int
put_hostname(struct setup *s)
{
	if (s->file.exists && strcmp(s->conf.hostname, s->hostname) == 0)
		return EX_OK;
	if (s->file.exists)
		out_say("hostname was %s, becomes %s", s->conf.hostname, s->hostname);
	s->file_changed = true;
	return conffile_set(&s->file, "", "hostname", s->hostname);
}

static int
parse_listen(const char *text, struct listen *l)
{
	const char *equals = strchr(text, '=');
	char kind[32];

	if (equals == NULL || str_copy(kind, sizeof(kind), text, (size_t)(equals - text)) != ERR_OK ||
	    conf_parse_listener_kind(kind, &l->kind) != ERR_OK || netaddr_parse(&l->address, equals + 1) != ERR_OK ||
	    l->address.port == 0) {
		out_fix(
		    "--listen submission=0.0.0.0:587, --listen submissions=[::]:465 or --listen plain=127.0.0.1:25");
		return out_fail(EX_USAGE, "usage", "'%s' is not KIND=ADDRESS:PORT", text);
	}
	l->done = false;
	return EX_OK;
}

/* Whether the kernel has IPv6: then one listener on [::] hears both. */
static bool
has_ipv6(void)
{
	struct sockaddr_storage ss;
	struct netaddr any;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	netaddr_parse(&any, "[::]:0");
	ok = fd >= 0 && bind(fd, (const struct sockaddr *)&ss, netaddr_to_sockaddr(&any, &ss)) == 0;
	io_close(&fd);
	return ok;
}

static bool
is_name_taken(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listeners[i].name, name) == 0)
			return true;
	return false;
}

static int
add_listener(struct setup *s, const struct listen *l)
{
	const char *kind = conf_listener_kind(l->kind);
	char name[48], section[64], address[NETADDR_TEXT];
	int code;

	str_fmt(name, sizeof(name), "%s", kind);
	for (unsigned n = 2; is_name_taken(&s->conf, name); n++)
		snprintf(name, sizeof(name), "%s-%u", kind, n);
	snprintf(section, sizeof(section), "listener %s", name);
	if (strcmp(name, kind) != 0 && (code = conffile_set(&s->file, section, "kind", kind)) != EX_OK)
		return code;
	if (s->file.exists)
		out_say("listener %s is added", name);
	s->file_changed = true;
	if ((code = conffile_set(&s->file, section, "address", netaddr_put(address, &l->address))) != EX_OK)
		return code;
	return conffile_parse(&s->file, &s->conf);
}

static int
move_listener(struct setup *s, struct conf_listener *old, const struct listen *l)
{
	char section[64], before[NETADDR_TEXT], after[NETADDR_TEXT];

	snprintf(section, sizeof(section), "listener %s", old->name);
	netaddr_put(after, &l->address);
	out_say("listener %s was at %s, becomes %s", old->name, netaddr_put(before, &old->address), after);
	old->address = l->address;
	s->file_changed = true;
	return conffile_set(&s->file, section, "address", after);
}

/*
 * The listeners asked for: one that is there already stays; else the next of its kind, that nobody asked for,
 * moves; else it is added. What is in the file beyond that stays.
 */
static int
put_listeners(struct setup *s, struct listen *asked, size_t n)
{
	bool claimed[CONF_LISTENERS_MAX] = { false };
	size_t before = s->conf.nlisteners;
	int code = EX_OK;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < before; j++)
			if (!asked[i].done && !claimed[j] && s->conf.listeners[j].kind == asked[i].kind &&
			    netaddr_is_equal(&s->conf.listeners[j].address, &asked[i].address))
				asked[i].done = claimed[j] = true;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < before && code == EX_OK; j++)
			if (!asked[i].done && !claimed[j] && s->conf.listeners[j].kind == asked[i].kind) {
				asked[i].done = claimed[j] = true;
				code = move_listener(s, &s->conf.listeners[j], &asked[i]);
			}
	if (code == EX_OK && s->file_changed)
		code = conffile_parse(&s->file, &s->conf);
	for (size_t i = 0; i < n && code == EX_OK; i++)
		if (!asked[i].done)
			code = add_listener(s, &asked[i]);
	return code;
}

int
setup_plan_conf(struct setup *s)
{
	struct listen asked[CONF_LISTENERS_MAX];
	const char *text;
	size_t n = 0, at = 0;
	int code;

	out_fix("smtpadm config set KEY VALUE, or an editor");
	if ((code = conffile_parse(&s->file, &s->conf)) != EX_OK || (code = find_hostname(s)) != EX_OK)
		return code;
	while ((text = admin_next(s->a, OPT_LISTEN, &at)) != NULL) {
		if (n == CONF_LISTENERS_MAX)
			return out_fail(EX_USAGE, "usage", "at most %d listeners", CONF_LISTENERS_MAX);
		if ((code = parse_listen(text, &asked[n++])) != EX_OK)
			return code;
	}
	if (n == 0 && s->conf.nlisteners == 0) {
		bool both = has_ipv6();

		parse_listen(both ? "submission=[::]:587" : "submission=0.0.0.0:587", &asked[n++]);
		parse_listen(both ? "submissions=[::]:465" : "submissions=0.0.0.0:465", &asked[n++]);
	}
	if (!s->file.exists && (code = buf_put_str(&s->file.text, opening)) != ERR_OK)
		return out_fail(EX_OSERR, "no_memory", "%s", err_text(code));
	if ((code = put_hostname(s)) != EX_OK)
		return code;
	return put_listeners(s, asked, n);
}
