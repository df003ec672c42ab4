/*
 * A route is tried without sending mail: resolve, connect, and the rest in a session process (trial_session.c). Run by smtpadm route
 * test as a process of its own, which gives up its rights as postern-relay does. Invariant: no message, and no octet of one, is sent.
 */
#include "trial.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "addr.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "relay.h"
#include "str.h"

#define TRIES_MAX 10
#define PATIENCE_MS 30000	/* an admin waits */

static struct {
	char		to[ADDR_TEXT], from[ADDR_TEXT];
	bool		is_answered;
} trial;

static struct ipc_resolve_answer answer;

const char *
trial_recipient(void)
{
	return trial.to;
}

const char *
trial_sender(void)
{
	return trial.from;
}

void
trial_say(const char *step, const char *verdict, const char *fmt, ...)
{
	char text[1200], line[1300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != 0; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	snprintf(line, sizeof(line), "%s\t%s\t%s\n", step, verdict, text);
	/* One write: lines of two processes do not mix. Nobody reads: then nobody need know. */
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		_exit(EX_IOERR);
}

bool
trial_is_wanted(int argc, char **argv)
{
	return argc > 2 && strcmp(argv[1], "--test") == 0;
}

static void
take_address(char to[ADDR_TEXT], const char *text)
{
	struct addr a;

	if (addr_parse(&a, text, strlen(text), true) != ERR_OK)
		log_fatal(EX_DATAERR, "'%s' is no address", text);
	memcpy(to, a.text, a.len + 1);
}

void
trial_start(struct service *s, int argc, char **argv)
{
	const char *root = NULL;
	struct conf_error error;
	struct conf *c = &s->conf;
	size_t i = 0;

	*s = (struct service){ .name = "relay", .selftest = true };	/* errors go to standard error */
	log_open("postern-relay", LOG_LEVEL_WARNING);
	for (int at = 3; at + 1 < argc; at += 2) {
		if (strcmp(argv[at], "--to") == 0)
			take_address(trial.to, argv[at + 1]);
		else if (strcmp(argv[at], "--from") == 0)
			take_address(trial.from, argv[at + 1]);
		else if (strcmp(argv[at], "--root") == 0)
			root = argv[at + 1];
	}
	if (instance_open(&s->in, root) != ERR_OK)
		log_fatal(EX_OSERR, "the folder %s can't be used", root);
	if (conf_load(c, s->in.conf_file, NULL, NULL, &error) != ERR_OK)
		log_fatal(EX_CONFIG, "%s:%u: %s", s->in.conf_file, error.line, error.text);
	while (i < c->nroutes && strcmp(c->routes[i].name, argv[2]) != 0)
		i++;
	if (i == c->nroutes)
		log_fatal(EX_NOHOST, "there is no route '%s'", argv[2]);
	c->routes[0] = c->routes[i];
	c->nroutes = 1;
	/* Who logs in with an address may most likely send as it. */
	if (trial.from[0] == 0 && strchr(c->routes[0].user, '@') != NULL)
		take_address(trial.from, c->routes[0].user);
	instance_ids(&s->in, c, &s->ids);
}

static void
note_answer(void *owner, const struct ipc_resolve_answer *a)
{
	(void)owner;
	answer = *a;
	trial.is_answered = true;
}

/* Waits for the answer. False: there is no usable one, and that was said. */
static bool
resolve(struct relay *r, enum resolve_type type, const char *name)
{
	uint64_t number;
	int err;

	trial.is_answered = false;
	if ((err = resolver_ask(&r->resolver, type, name, note_answer, NULL, &number)) != ERR_OK) {
		trial_say("resolve", "failed", "'%s' is no name that could be in the DNS", name);
		return false;
	}
	while (!trial.is_answered) {
		if (loop_run_once(&r->loop, 500) != ERR_OK)
			return false;
		resolver_tick(&r->resolver, io_now_ms());
	}
	if (answer.status == RESOLVE_OK || (type == RESOLVE_MX && answer.status == RESOLVE_NODATA))
		return true;
	trial_say("resolve", "failed", "%s of %s: %s", type == RESOLVE_MX ? "mail exchangers" : "addresses", name, answer.why);
	return false;
}

static int
wait_connected(int fd, uint64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t n = sizeof(error);

	if (poll(&p, 1, (int)ms) != 1)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}

static void
put_facts(struct relay *r, struct session_facts *f, const char *host, const struct netaddr *address)
{
	const struct conf_route *route = &r->service->conf.routes[0];
	struct netmask mask;

	*f = (struct session_facts){
		.kind = route->kind, .tls = route->tls, .return_path = route->return_path, .address = *address,
		.is_near = address->family == 0 || netaddr_is_loopback(address), .timeout_ms = r->service->conf.delivery_timeout,
		.is_address = host[0] == '[' || netmask_parse(&mask, host) == ERR_OK, .client = r->clients[0],
	};
	if (f->timeout_ms > PATIENCE_MS)
		f->timeout_ms = PATIENCE_MS;
	str_fmt(f->hostname, sizeof(f->hostname), "%s", r->service->conf.hostname);
	str_fmt(f->host, sizeof(f->host), "%s", host);
	str_fmt(f->user, sizeof(f->user), "%s", route->user);
	memcpy(f->secret, r->unshared->secrets[0], sizeof(f->secret));
}

/* In a process of its own. */
static int
run_session(struct relay *r, const char *host, const struct netaddr *address, int fd)
{
	static struct session_facts facts;
	int fds[2], status;
	pid_t pid = -1;

	put_facts(r, &facts, host, address);
	if (ipc_pair(fds) == ERR_OK) {
		if ((pid = fork()) == 0)
			_exit(outbound_narrow(r, fd, fds[1]) == ERR_OK ? trial_session(&facts, fd, fds[1]) : EX_OSERR);
		io_close(&fds[1]);
	}
	mem_wipe(&facts, sizeof(facts));
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		trial_say("session", "failed", "no process for it could be started");
		return EX_NOHOST;
	}
	io_close(&fds[0]);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	trial_say("session", "failed", "its process ended by signal %d", WTERMSIG(status));
	return EX_NOHOST;
}

static int
try_connection(struct relay *r, const char *host, const struct netaddr *a, int fd, int error)
{
	char text[NETADDR_TEXT] = "";
	int code = EX_NOHOST;

	if (a->family != 0)
		netaddr_put(text, a);
	if (error == EINPROGRESS)
		error = wait_connected(fd, r->service->conf.delivery_connect_timeout);
	if (error != 0) {
		trial_say("connect", "failed", "%s%s%s: %s", host, text[0] != 0 ? " " : "", text, strerror(error));
	} else {
		trial_say("connect", "ok", "%s%s%s", host, text[0] != 0 ? " " : "", text);
		code = run_session(r, host, a, fd);
	}
	io_close(&fd);
	return code;
}

static int
try_address(struct relay *r, const char *host, const struct netaddr *a)
{
	int fd = socket(a->family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
	struct sockaddr_storage ss;
	socklen_t n = netaddr_to_sockaddr(a, &ss);

	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, n) != 0)
		error = errno;
	return try_connection(r, host, a, fd, error);
}

static int
try_path(struct relay *r, const char *path)
{
	const struct netaddr none = { .family = 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0 || connect_local(r, path, fd) != 0)
		error = errno;
	return try_connection(r, path, &none, fd, error);
}

/* Addresses of a host, one after the other, until one does; more than one host may come. */
static int
try_host(struct relay *r, const char *host, unsigned *tries)
{
	static struct netaddr addresses[RESOLVE_MAX];
	char text[RESOLVE_MAX * NETADDR_TEXT] = "", one[NETADDR_TEXT];
	int code = EX_NOHOST;
	struct netmask literal;
	size_t n = 0, used = 0;

	if (netmask_parse(&literal, host) == ERR_OK) {
		addresses[n++] = literal.address;
	} else {
		if (!resolve(r, RESOLVE_ADDRESSES, host))
			return EX_NOHOST;
		for (; n < answer.n; n++) {
			addresses[n] = answer.addresses[n];
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", netaddr_put_host(one, &addresses[n]));
		}
		trial_say("resolve", "ok", "%s:%s%s", host, text, answer.is_secure ? " (validated)" : "");
	}
	for (size_t i = 0; i < n && code == EX_NOHOST && *tries < TRIES_MAX; i++, (*tries)++) {
		addresses[i].port = r->service->conf.routes[0].port;
		code = try_address(r, host, &addresses[i]);
	}
	return code;
}

static int
try_domain(struct relay *r, const char *domain)
{
	static struct ipc_resolve_answer mx;
	int code = EX_NOHOST;
	char text[1100] = "";
	unsigned tries = 0;
	size_t used = 0;

	if (!resolve(r, RESOLVE_MX, domain))
		return EX_NOHOST;
	if (answer.status == RESOLVE_NODATA) {
		trial_say("resolve", "ok", "%s has no mail exchangers: itself is tried", domain);
		return try_host(r, domain, &tries);
	}
	mx = answer;
	if (mx.hosts[0].name[0] == 0) {
		trial_say("resolve", "refused", "%s takes no mail (null MX)", domain);
		return 1;
	}
	for (size_t i = 0; i < mx.n && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %u %s", mx.hosts[i].preference, mx.hosts[i].name);
	trial_say("resolve", "ok", "mail exchangers of %s:%s", domain, text);
	for (size_t i = 0; i < mx.n && code == EX_NOHOST && tries < TRIES_MAX; i++)
		code = try_host(r, mx.hosts[i].name, &tries);
	return code;
}

static void
be_lost(void *owner)
{
	(void)owner;
	trial_say("resolve", "failed", "the resolver has ended");
}

int
trial_run(struct relay *r)
{
	const struct conf_route *route = &r->service->conf.routes[0];
	const char *at = strrchr(trial.to, '@');
	struct netaddr literal;
	unsigned tries = 0;
	int code;

	if (resolver_watch(&r->resolver, &r->loop, be_lost, NULL) != ERR_OK)
		return EX_OSERR;
	if (route->kind == ROUTE_DISCARD) {
		trial_say("route", "ok", "mail that takes it is thrown away");
		code = EX_OK;
	} else if (route->kind != ROUTE_MX) {
		code = route->path[0] != 0 ? try_path(r, route->path) : try_host(r, route->host, &tries);
	} else if (at == NULL) {
		trial_say("route", "failed", "where it leads is up to a recipient's domain");
		code = EX_USAGE;
	} else if (attempt_parse_literal(at + 1, &literal)) {
		literal.port = route->port;
		code = try_address(r, at + 1, &literal);
	} else {
		code = try_domain(r, at + 1);
	}
	resolver_end(&r->resolver);
	return code;
}
