/*
 * The relay's resolver: a process of its own that asks name servers (libunbound) for the relay, which never parses what they say.
 * Forked from postern-relay as it starts; reads the system's settings, then gives up files and rights before the first foreign octet.
 * Invariant: every question is answered once, in bounded time; what goes back is bounded and has the names of hosts only.
 */
#include "resolver_process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unbound.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "loop.h"
#include "resolver.h"
#include "resolver_profile.h"
#include "resolver_records.h"
#include "sandbox.h"
#include "service.h"

#define LOOKUP_MS 30000
#define TICK_MS 500
#define CLASS_IN 1
#define TYPE_A 1
#define TYPE_MX 15
#define TYPE_AAAA 28
#define RCODE_NXDOMAIN 3

enum part { PART_MX, PART_AAAA = 0, PART_A, PARTS };

/* One question of the relay; addresses are two questions for the DNS. */
struct lookup {
	bool			 used;
	uint64_t		 deadline_ms;
	struct ipc_resolve	 question;
	struct part_of {
		struct lookup		*lookup;
		int			 id;		/* libunbound's */
		bool			 is_open;
		enum resolve_status	 status;
		struct ub_result	*result;	/* with data */
	}			 parts[PARTS];
	struct ipc_resolve_answer answer;
};

static struct {
	struct ub_ctx		*ub;
	struct loop		 loop;
	struct loop_watch	 relay, answers;
	struct lookup		 lookups[RESOLVER_LOOKUPS_MAX];
	uint8_t			 buffer[IPC_SMALL_MAX];
} self;

static void
give_up(const char *what, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "-the resolver of postern-relay can't start: %s%s%s", what, why[0] != 0 ? ": " : "", why);
	if (write(self.relay.fd, text, strlen(text)) < 0)
		_exit(EX_OSERR);
	_exit(EX_SOFTWARE);
}

static void
must(int err, const char *what)
{
	if (err != 0)
		give_up(what, ub_strerror(err));
}

static void
finish(struct lookup *l)
{
	struct wire_out w;

	for (size_t i = 0; i < PARTS; i++) {
		if (l->parts[i].is_open)
			ub_cancel(self.ub, l->parts[i].id);
		if (l->parts[i].result != NULL)
			ub_resolve_free(l->parts[i].result);
	}
	l->used = false;
	wire_out_init(&w, self.buffer, sizeof(self.buffer));
	ipc_put_resolve_answer(&w, &l->answer);
	/* The relay reads: it may be waited for. */
	if (ipc_send(self.relay.fd, &w, NULL, 0, true) != ERR_OK)
		_exit(EX_OK);
}

static void
say_why(struct ipc_resolve_answer *a, const char *what, const char *detail)
{
	snprintf(a->why, sizeof(a->why), "%s%s%s", what, detail[0] != 0 ? ": " : "", detail);
	for (char *p = a->why; *p != 0; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static void
explain(struct lookup *l, const struct ub_result *r, int err)
{
	static const char *const rcodes[] = { "no error", "format error", "server failure", "no such name", "not implemented", "refused" };
	struct ipc_resolve_answer *a = &l->answer;

	if (err != 0)
		say_why(a, "no answer", ub_strerror(err));
	else if (r->bogus)
		say_why(a, "DNSSEC validation failed", r->why_bogus != NULL ? r->why_bogus : "");
	else if (r->rcode > 0 && r->rcode != RCODE_NXDOMAIN)
		say_why(a, "the name server says", (size_t)r->rcode < sizeof(rcodes) / sizeof(rcodes[0]) ? rcodes[r->rcode] : "error");
}

/* What all parts together say. Addresses of one kind do, whatever became of the other kind. */
static void
conclude(struct lookup *l)
{
	static const enum resolve_status order[] = { RESOLVE_BOGUS, RESOLVE_TEMPORARY, RESOLVE_NXDOMAIN };
	size_t n = l->question.type == RESOLVE_MX ? 1 : PARTS;
	struct ipc_resolve_answer *a = &l->answer;
	bool has_data = false;

	a->number = l->question.number;
	a->type = l->question.type;
	a->status = RESOLVE_NODATA;
	a->n = 0;
	a->is_secure = true;
	for (size_t i = 0; i < n; i++) {
		struct part_of *p = &l->parts[i];

		a->is_secure = a->is_secure && p->result != NULL && p->result->secure;
		if (p->is_open || p->status != RESOLVE_OK)
			continue;
		has_data = true;
		if (a->type == RESOLVE_MX)
			records_get_mx(p->result->data, p->result->len, a);
		else
			records_get_addresses(p->result->data, p->result->len, a);
	}
	if (has_data) {
		a->status = a->n != 0 ? RESOLVE_OK : RESOLVE_UNUSABLE;
		say_why(a, a->n != 0 ? "" : "its MX records name no host", "");
		return;
	}
	for (size_t o = 0; o < sizeof(order) / sizeof(order[0]); o++)
		for (size_t i = 0; i < n; i++)
			if (a->status == RESOLVE_NODATA && (l->parts[i].is_open ? RESOLVE_TEMPORARY : l->parts[i].status) == order[o])
				a->status = order[o];
	if (a->status == RESOLVE_NXDOMAIN || a->status == RESOLVE_NODATA)
		say_why(a, a->status == RESOLVE_NODATA ? "the name has no such records" : "there is no such name", "");
	else if (a->why[0] == 0)
		say_why(a, "no name server has answered in time", "");
}

static void
take_result(void *mydata, int err, struct ub_result *r)
{
	struct part_of *p = mydata;
	struct lookup *l = p->lookup;

	p->is_open = false;
	if (err != 0 || r == NULL)
		p->status = RESOLVE_TEMPORARY;
	else if (r->bogus)
		p->status = RESOLVE_BOGUS;
	else if (r->havedata)
		p->status = RESOLVE_OK;
	else if (r->nxdomain)
		p->status = RESOLVE_NXDOMAIN;
	else
		p->status = r->rcode == 0 ? RESOLVE_NODATA : RESOLVE_TEMPORARY;
	explain(l, r, err != 0 || r == NULL ? (err != 0 ? err : UB_SERVFAIL) : 0);
	p->result = r;
}

/* Not from within libunbound's call: finish() cancels and frees there. */
static void
finish_complete(void)
{
	for (size_t i = 0; i < RESOLVER_LOOKUPS_MAX; i++) {
		struct lookup *l = &self.lookups[i];

		if (!l->used || l->parts[0].is_open || l->parts[1].is_open)
			continue;
		conclude(l);
		finish(l);
	}
}

static void
ask_part(struct lookup *l, enum part i, int type)
{
	struct part_of *p = &l->parts[i];
	int err;

	p->lookup = l;
	p->is_open = true;
	p->status = RESOLVE_TEMPORARY;
	if ((err = ub_resolve_async(self.ub, l->question.name, type, CLASS_IN, p, take_result, &p->id)) != 0) {
		p->is_open = false;
		explain(l, NULL, err);
	}
}

static void
ask(const struct ipc_resolve *question)
{
	size_t i = 0;
	struct lookup *l;

	while (i < RESOLVER_LOOKUPS_MAX && self.lookups[i].used)
		i++;
	if (i == RESOLVER_LOOKUPS_MAX)	/* the relay counts: it has given up on older ones */
		return;
	l = &self.lookups[i];
	*l = (struct lookup){ .used = true, .deadline_ms = io_now_ms() + LOOKUP_MS, .question = *question };
	if (question->type == RESOLVE_MX) {
		ask_part(l, PART_MX, TYPE_MX);
	} else {
		ask_part(l, PART_AAAA, TYPE_AAAA);
		ask_part(l, PART_A, TYPE_A);
	}
}

static void
hear_relay(void *owner, uint32_t events)
{
	struct ipc_resolve question;
	struct ipc_message m;
	int err = ipc_recv(self.relay.fd, IPC_RESOLVER_FROM_RELAY, self.buffer, sizeof(self.buffer), false, &m);

	(void)owner;
	(void)events;
	if (err == ERR_BUSY)
		return;
	if (err != ERR_OK || ipc_get_resolve(&m.body, &question) != ERR_OK)
		_exit(EX_OK);
	ask(&question);
}

static void
hear_answers(void *owner, uint32_t events)
{
	(void)owner;
	(void)events;
	ub_process(self.ub);
}

static void
tick(uint64_t now_ms)
{
	for (size_t i = 0; i < RESOLVER_LOOKUPS_MAX; i++) {
		struct lookup *l = &self.lookups[i];

		if (!l->used || now_ms < l->deadline_ms)
			continue;
		conclude(l);
		finish(l);
	}
}

static void
set_option(const char *name, const char *value)
{
	must(ub_ctx_set_option(self.ub, name, value), name);
}

/* The key of the DNS root, where a package has put it. Without one nothing is validated. */
static void
read_root_key(void)
{
	static const char *const files[] = { "/usr/share/dns/root.key", "/var/lib/unbound/root.key", "/etc/unbound/root.key" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (access(files[i], R_OK) == 0) {
			must(ub_ctx_add_ta_file(self.ub, files[i]), files[i]);
			return;
		}
	}
}

static void
configure(const struct conf *c)
{
	char text[NETADDR_TEXT + 8], host[NETADDR_TEXT];
	struct netaddr a;
	int err;

	if ((self.ub = ub_ctx_create()) == NULL)
		give_up("libunbound has no memory", "");
	must(ub_ctx_debugout(self.ub, NULL), "its log");
	/* Servers on this machine are as good as others; and one that was down is asked again soon. */
	set_option("do-not-query-localhost:", "no");
	set_option("infra-host-ttl:", "60");
	set_option("infra-keep-probing:", "yes");
	set_option("cache-max-negative-ttl:", "300");
	set_option("chroot:", "");
	if (c->dns_dnssec)
		read_root_key();
	for (size_t i = 0; conf_dns_server(c, i, &a); i++) {
		snprintf(text, sizeof(text), "%s@%u", netaddr_put_host(host, &a), a.port);
		must(ub_ctx_set_fwd(self.ub, text), "dns.servers");
	}
	/* Without servers of its own, libunbound asks those of the root and downwards. */
	if (c->dns_servers[0] == 0 && (err = ub_ctx_resolvconf(self.ub, NULL)) != 0 && err != UB_READFILE)
		must(err, "/etc/resolv.conf");
	if ((err = ub_ctx_hosts(self.ub, NULL)) != 0 && err != UB_READFILE)
		must(err, "/etc/hosts");
	must(ub_ctx_async(self.ub, 1), "its second thread");
}

/* libunbound reads its files at the first question: one that it answers itself, without a thread. */
static void
read_everything(void)
{
	struct ub_result *r = NULL;

	must(ub_resolve(self.ub, "localhost", TYPE_A, CLASS_IN, &r), "its settings");
	ub_resolve_free(r);
}

static void
note_done(void *mydata, int err, struct ub_result *r)
{
	(void)err;
	*(bool *)mydata = true;
	ub_resolve_free(r);
}

static void
start_thread(void)
{
	bool done = false;
	int id;

	must(ub_resolve_async(self.ub, "localhost", TYPE_A, CLASS_IN, &done, note_done, &id), "its second thread");
	must(ub_wait(self.ub), "its second thread");
	if (!done)
		give_up("its second thread says nothing", "");
}

/* The thread starts in between: it has what it was given up, and the filter is for all threads. */
static void
enter_sandbox(const struct service *s)
{
	struct sandbox box = {
		.profile = &resolver_profile, .privileged = s->ids.separate, .uid = s->ids.relay_uid, .gid = s->ids.relay_gid,
		.empty_fd = -1, .require = s->conf.sandbox_require && s->ids.separate, .connects = true,
	};
	uint32_t parts;

	if (box.privileged && (box.empty_fd = open(s->in.empty_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		give_up(s->in.empty_dir, strerror(errno));
	if (sandbox_prepare(&box) != ERR_OK)
		give_up("its sandbox can't be prepared", strerror(errno));
	if (sandbox_demote(&box, &parts) != ERR_OK)
		give_up("it can't give up its rights", strerror(errno));
	io_close(&box.empty_fd);
	io_close(&box.ruleset_fd);
	start_thread();
	if (sandbox_seal(&box, &parts) != ERR_OK)
		give_up("it can't close its sandbox", strerror(errno));
}

void
resolver_process(const struct service *s, int fd)
{
	uint64_t next_tick = io_now_ms() + TICK_MS, now;

	/* A heap for the second thread would need mprotect() again and again. */
	mallopt(M_ARENA_MAX, 1);
	prctl(PR_SET_NAME, "resolver", 0, 0, 0);
	self.relay = (struct loop_watch){ .fd = fd, .handle = hear_relay };
	if (loop_open(&self.loop) != ERR_OK)
		give_up("epoll", strerror(errno));
	configure(&s->conf);
	read_everything();
	enter_sandbox(s);
	self.answers = (struct loop_watch){ .fd = ub_fd(self.ub), .handle = hear_answers };
	if (loop_add(&self.loop, &self.relay, EPOLLIN) != ERR_OK || loop_add(&self.loop, &self.answers, EPOLLIN) != ERR_OK)
		give_up("epoll", strerror(errno));
	if (write(fd, "+", 1) != 1)
		_exit(EX_OSERR);
	for (;;) {
		if (loop_run_once(&self.loop, TICK_MS) != ERR_OK)
			_exit(EX_OSERR);
		finish_complete();
		if ((now = io_now_ms()) >= next_tick) {
			next_tick = now + TICK_MS;
			tick(now);
		}
	}
}
