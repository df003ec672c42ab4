/*
 * A new route: its section in the configuration, its password in a file of its own. Runs in smtpadm as root or the instance's owner.
 * Invariant: a password is written to a file of mode 0600 in a folder of mode 0700, and shown nowhere.
 */
#include "route.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "out.h"
#include "str.h"

static void
put(char *text, size_t size, const char *key, const char *value)
{
	size_t used = strlen(text);

	if (value != NULL)
		snprintf(text + used, size - used, "%s = %s\n", key, value);
}

/* A line of its own for each word: lines are short. */
static void
put_list(char *text, size_t size, const struct admin *a, enum option_id id, const char *key)
{
	const char *value;
	size_t i = 0;

	while ((value = admin_next(a, id, &i)) != NULL)
		put(text, size, key, value);
}

static void
put_options(char *text, size_t size, const struct admin *a)
{
	put(text, size, "tls", admin_value(a, OPT_TLS));
	put(text, size, "user", admin_value(a, OPT_USER));
	put(text, size, "ca", admin_value(a, OPT_CA));
	put_list(text, size, a, OPT_TO_DOMAIN, "to_domain");
	put_list(text, size, a, OPT_FROM_DOMAIN, "from_domain");
	put_list(text, size, a, OPT_ACCOUNT, "account");
}

static int
check_words(const struct admin *a, const char *name, const char *url)
{
	static const enum option_id texts[] = { OPT_TLS, OPT_USER, OPT_CA, OPT_TO_DOMAIN, OPT_FROM_DOMAIN, OPT_ACCOUNT };
	struct conf_route r = { .kind = ROUTE_SMTP };
	struct conf_error error;
	const char *value;

	out_fix("smtpadm route add main smtp://mail.example.org:587");
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != 0 || name[0] == '.' ||
	    name[0] == 0 || strlen(name) >= CONF_ROUTE_NAME)
		return out_fail(EX_DATAERR, "bad_name", "'%s' is no name for a route: use up to %d letters, digits, '.', '_' and '-'",
		    name, CONF_ROUTE_NAME - 1);
	if (url[strcspn(url, " \t\r\n;#")] != 0 || conf_parse_route_url(&r, url, &error) != ERR_OK)
		return out_fail(EX_DATAERR, "bad_url", "%s", url[strcspn(url, " \t\r\n;#")] != 0 ? "a URL has no blanks, ';' or '#'" :
		    error.text);
	for (size_t o = 0; o < sizeof(texts) / sizeof(texts[0]); o++)
		for (size_t i = 0; (value = admin_next(a, texts[o], &i)) != NULL;)
			if (value[0] == 0 || value[strcspn(value, "\r\n;")] != 0)
				return out_fail(EX_DATAERR, "bad_value", "the configuration file can't hold '%s'", value);
	out_fix("%s", "");
	return EX_OK;
}

static int
read_password(struct new_route *n, const struct admin *a)
{
	char prompt[700];

	if (admin_has(a, OPT_STDIN) || (admin_has(a, OPT_PASSWORD_STDIN) && !admin_has(a, OPT_ROUTE)))
		return secret_read(&n->secret);
	if (!admin_has_terminal()) {
		out_fix("--stdin, with the password in the first line of standard input");
		return out_fail(EX_USAGE, "usage", "there is no terminal to ask for the password of '%s' on: give --stdin", n->route->user);
	}
	snprintf(prompt, sizeof(prompt), "Password of %s at %s: ", n->route->user, n->route->host);
	if (!admin_ask(prompt, false, n->secret.text, PASSWORD_MAX + 1))
		return out_fail(EX_NOINPUT, "no_password", "no password was typed");
	n->secret.len = strlen(n->secret.text);
	return n->secret.len != 0 ? EX_OK : out_fail(EX_DATAERR, "empty_password", "an empty password is refused");
}

int
route_plan(struct new_route *n, const struct admin *a, struct conffile *f, struct conf *c, const char *name, const char *url,
    bool with_options)
{
	char text[16384];
	int code;

	*n = (struct new_route){ .name = name };
	if ((code = check_words(a, name, url)) != EX_OK || (code = conffile_parse(f, c)) != EX_OK)
		return code;
	for (size_t i = 0; i < c->nroutes; i++) {
		if (strcmp(c->routes[i].name, name) == 0) {
			out_fix("smtpadm config set route.%s.url URL, or smtpadm route remove %s", name, name);
			return out_fail(EX_CANTCREAT, "exists", "there is a route '%s' already", name);
		}
	}
	snprintf(text, sizeof(text), "[route %s]\nurl = %s\n", name, url);
	if (with_options)
		put_options(text, sizeof(text), a);
	if (strlen(text) + 1 == sizeof(text))
		return out_fail(EX_USAGE, "usage", "that many domains and accounts go into the file by an editor");
	if ((code = conffile_append(f, text)) != EX_OK || (code = conffile_parse(f, c)) != EX_OK)
		return code;
	n->route = &c->routes[c->nroutes - 1];
	if (n->route->user[0] == 0) {
		if (admin_has(a, OPT_STDIN))
			return out_fail(EX_USAGE, "usage", "a password needs a user: give --user");
		return EX_OK;
	}
	if (instance_file(&a->in, n->route->secret, n->path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "the path of %s is too long", n->route->secret);
	return read_password(n, a);
}

int
route_write_secret(const struct new_route *n)
{
	char folder[PATH_MAX], *parent, data[sizeof(n->secret.text) + 1];
	struct stat st;
	int err, len;

	if (n->path[0] == 0)
		return EX_OK;
	memcpy(folder, n->path, sizeof(folder));
	parent = dirname(folder);
	if (mkdir(parent, 0700) != 0 && errno != EEXIST)
		return out_fail(EX_CANTCREAT, "system", "%s: %s", parent, err_text(ERR_SYSTEM));
	if (lstat(parent, &st) != 0 || !S_ISDIR(st.st_mode))
		return out_fail(EX_CANTCREAT, "exists", "%s exists and is no folder", parent);
	len = snprintf(data, sizeof(data), "%s\n", n->secret.text);
	err = io_replace_file(n->path, data, (size_t)len, 0600);
	mem_wipe(data, sizeof(data));
	return err == ERR_OK ? EX_OK : out_fail(admin_code(err), admin_name(err), "%s: %s", n->path, err_text(err));
}

void
route_plan_end(struct new_route *n)
{
	secret_wipe(&n->secret);
}

static int
check_secret(const struct admin *a, const struct conf_route *r)
{
	char path[PATH_MAX], first;
	int fd, err, code = EX_OK;

	if (instance_file(&a->in, r->secret, path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "secret of route '%s' is too long a path", r->name);
	err = instance_open_secret(path, &fd);
	if (err == ERR_OK) {
		if (read(fd, &first, 1) != 1 || first == '\n')
			code = out_fail(EX_CONFIG, "configuration", "%s: the password of route '%s' is empty: its first line is it", path,
			    r->name);
		io_close(&fd);
		return code;
	}
	if (err == ERR_DENIED) {
		out_fix("chmod 600 %s", path);
		return out_fail(EX_NOPERM, "not_allowed", "%s: the password of route '%s' must be in a regular file, no link, owned by "
		    "root or you, with no rights for group and others", path, r->name);
	}
	if (err == ERR_NOTFOUND) {
		out_fix("smtpadm route remove %s, then smtpadm route add %s", r->name, r->name);
		return out_fail(EX_NOINPUT, "not_found", "%s: the password of route '%s' is missing", path, r->name);
	}
	return out_fail(admin_code(err), admin_name(err), "%s: the password of route '%s' can't be read: %s", path, r->name, err_text(err));
}

int
route_check(const struct admin *a, const struct conf_route *r)
{
	char path[PATH_MAX];
	struct stat st;
	int code = r->user[0] != 0 ? check_secret(a, r) : EX_OK;

	if (r->ca[0] != 0 && (instance_file(&a->in, r->ca, path) != ERR_OK || access(path, R_OK) != 0)) {
		int missing = out_fail(EX_NOINPUT, "not_found", "%s: the certificates to verify route '%s' by can't be read", r->ca,
		    r->name);

		code = code != EX_OK ? code : missing;
	}
	if (r->path[0] != 0 && (stat(r->path, &st) != 0 || !S_ISSOCK(st.st_mode)))
		out_warn("%s: this is no socket now: the mail of route '%s' waits until it is", r->path, r->name);
	return code;
}

void
route_warn_default(const struct conf *c)
{
	if (c->nroutes == 0)
		out_say("there is no route: accepted mail waits in the queue until one is added (%sroute add)", out_program());
	else if (conf_find_route(c, "", "", "") == NULL)
		out_say("no route is for all other mail: what no route's to_domain, account or from_domain names waits in the queue");
}
