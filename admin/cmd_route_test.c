/*
 * smtpadm route test: runs postern-relay's trial of a route in a process of its own, which gives up its rights before it meets the
 * server, and shows what came of each step. Runs with the admin's rights; believes of the trial nothing but printable lines.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "out.h"
#include "process.h"
#include "route.h"
#include "route_keys.h"

struct step {
	char name[32], verdict[16], text[1200];
};


/* What helps, by the step that failed. */
static void
advise(const struct conf_route *r, const struct step *s)
{
	static const struct {
		const char *step, *has, *fix;	/* %s: the route's name */
	} rows[] = {
		{ "resolve", "DNSSEC", "name servers that pass signatures on (dns.servers), or smtpadm config set dns.dnssec off" },
		{ "resolve", "no answer", "smtpadm config set dns.servers ADDRESS, if the name server is another one" },
		{ "resolve", "server failure", "smtpadm config set dns.servers ADDRESS, if the name server is another one" },
		{ "resolve", "mail exchangers", "another --to: that domain has no such servers in the DNS, or is misspelt" },
		{ "resolve", "", "smtpadm config set route.%s.url URL, with a host that is in the DNS" },
		{ "connect", "refused", "smtpadm config set route.%s.url URL, if the port is another one; submission has 587, SMTP 25" },
		{ "connect", "No such file", "the server of that socket, and the rights of the user postern-relay to its folder" },
		{ "connect", "Permission", "rights of the user postern-relay to that socket" },
		{ "connect", "", "a firewall that lets this port out; many networks block port 25" },
		{ "greeting", "", "another port, or smtps:// instead of smtp://, if the server waits for TLS" },
		{ "hello", "", "another port, or another server: what is there does not speak SMTP as it should" },
		{ "tls", "hostname mismatch", "smtpadm config set route.%s.url URL, with a host name that is in the server's certificate" },
		{ "tls", "address mismatch", "smtpadm config set route.%s.url URL, with a host name that is in the server's certificate" },
		{ "tls", "expired", "the server's operator has to renew its certificate, if the clock of this machine is right" },
		{ "tls", "certificate", "smtpadm config set route.%s.ca FILE with the certificate of its authority" },
		{ "tls", "STARTTLS", "smtps:// instead of smtp://, or another port: what is there has no TLS" },
		{ "tls", "", "smtps:// instead of smtp://, or the other way round: does the port have TLS from the first octet?" },
		{ "login", "", "smtpadm route remove %s, then smtpadm route add %s URL --user NAME, for another user or password" },
		{ "mail", "", "the sender: give one that this server takes with --from" },
		{ "rcpt", "", "the server takes mail for that recipient from others only, or has no such mailbox" },
		{ "route", "", "smtpadm route test %s --to ADDRESS" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char fix[300];
		const char *p = rows[i].fix;
		size_t n = 0;

		if (strcmp(rows[i].step, s->name) != 0 || strstr(s->text, rows[i].has) == NULL)
			continue;
		while (*p != 0 && n + CONF_ROUTE_NAME < sizeof(fix)) {
			if (strncmp(p, "%s", 2) == 0) {
				n += (size_t)snprintf(fix + n, sizeof(fix) - n, "%s", r->name);
				p += 2;
			} else {
				fix[n++] = *p++;
			}
		}
		fix[n] = 0;
		out_fix("%s", fix);
		return;
	}
}

static pid_t
start(const struct admin *a, const char *path, int *from)
{
	const char *to = admin_value(a, OPT_TO), *sender = admin_value(a, OPT_FROM);
	const char *argv[10] = { "postern-relay", "--test", a->words[0] };
	size_t n = 3;
	int fds[2];
	pid_t pid;

	if (to != NULL) {
		argv[n++] = "--to";
		argv[n++] = to;
	}
	if (sender != NULL) {
		argv[n++] = "--from";
		argv[n++] = sender;
	}
	if (a->in.root[0] != 0) {
		argv[n++] = "--root";
		argv[n++] = a->in.root;
	}
	argv[n] = NULL;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	fflush(NULL);
	if ((pid = fork()) == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(fds[1], 1) < 0)
			_exit(EX_OSERR);
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(EX_OSERR);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	*from = fds[0];
	return pid;
}

static bool
take_line(struct step *s, char *line)
{
	char *verdict = strchr(line, '\t'), *text = verdict != NULL ? strchr(verdict + 1, '\t') : NULL;

	if (text == NULL)
		return false;
	*verdict++ = 0;
	*text++ = 0;
	text[strcspn(text, "\n")] = 0;
	snprintf(s->name, sizeof(s->name), "%.31s", line);
	snprintf(s->verdict, sizeof(s->verdict), "%.15s", verdict);
	snprintf(s->text, sizeof(s->text), "%.1199s", text);
	return true;
}

static void
show(const struct step *s)
{
	struct json j;

	if (!out_is_json()) {
		out_print("%-12s %-8s %s\n", s->name, s->verdict, s->text);
		fflush(stdout);
		return;
	}
	json_begin(&j);
	json_put_str(&j, "step", s->name);
	json_put_str(&j, "result", s->verdict);
	json_put_str(&j, "text", s->text);
	json_end(&j, stdout);
}

static int
finish(const struct conf_route *r, pid_t pid, const struct step *last)
{
	int status, code;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	if (code == EX_OK)
		return EX_OK;
	advise(r, last);
	if (last->name[0] == 0)
		return out_fail(code, "test_failed", "route '%s' could not be tested", r->name);
	if (code == EX_NO)
		return out_fail(EX_NO, "refused", "route '%s': %s: %s", r->name, last->name, last->text);
	return out_fail(code, "no_way", "route '%s' does not work: %s: %s", r->name, last->name, last->text);
}

int
cmd_route_test(struct admin *a)
{
	const struct conf_route *r;
	struct step step = { .name = "" };
	char path[PATH_MAX], line[1400];
	static struct conf c;
	int code, from;
	FILE *f;
	pid_t pid;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	if ((r = route_find(&c, a->words[0])) == NULL) {
		out_fix("smtpadm route list");
		return out_fail(EX_NOHOST, "no_route", "there is no route '%s'", a->words[0]);
	}
	if (r->kind == ROUTE_MX && admin_value(a, OPT_TO) == NULL) {
		out_fix("smtpadm route test %s --to ADDRESS", r->name);
		return out_fail(EX_USAGE, "usage", "where route '%s' leads is up to a recipient's domain: give one", r->name);
	}
	if ((code = route_check(a, r)) != EX_OK)
		return code;
	if (process_find_program("postern-relay", path) != ERR_OK)
		return out_fail(EX_UNAVAILABLE, "not_found", "the program postern-relay is not installed");
	if ((pid = start(a, path, &from)) < 0 || (f = fdopen(from, "r")) == NULL)
		return out_fail(EX_OSERR, "system", "postern-relay can't be started: %s", err_text(ERR_SYSTEM));
	while (fgets(line, sizeof(line), f) != NULL)
		if (take_line(&step, line))
			show(&step);
	fclose(f);
	return finish(r, pid, &step);
}
