/*
 * The relay's end of its resolver: starting it, questions by number, answers to their callers. Run by postern-relay, at first with the
 * rights it was started with. Invariant: every question is answered once, from the loop, unless it was forgotten.
 */
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "resolver_process.h"
#include "resolver_records.h"
#include "service.h"

#define START_MS 30000
#define ANSWER_MS 40000		/* the resolver itself gives up earlier */

/* In the child: nothing of the relay's but the pair's end and the standard descriptors. */
static void
become_resolver(const struct service *s, int fd)
{
	if (dup2(fd, SERVICE_CONTROL_FD) < 0 || close_range(SERVICE_CONTROL_FD + 1, ~0U, 0) != 0 ||
	    fcntl(SERVICE_CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0)
		_exit(1);
	resolver_process(s, SERVICE_CONTROL_FD);
}

/* "+", or "-" and why not. */
static int
await_start(int fd, char *why, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[512];
	ssize_t n = -1;

	if (poll(&p, 1, START_MS) == 1)
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n == 1 && text[0] == '+')
		return ERR_OK;
	text[n > 0 ? n : 0] = 0;
	snprintf(why, size, "%s", n > 1 ? text + 1 : "the resolver of postern-relay ended while it was starting");
	return ERR_DENIED;
}

int
resolver_start(struct resolver *r, const struct service *s, char *why, size_t size)
{
	int fds[2], err;

	*r = (struct resolver){ .watch = { .fd = -1 } };
	if (ipc_pair(fds) != ERR_OK) {
		snprintf(why, size, "no pair of sockets for the resolver of postern-relay: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	if ((r->pid = fork()) == 0)
		become_resolver(s, fds[1]);
	io_close(&fds[1]);
	r->watch.fd = fds[0];
	if (r->pid < 0) {
		snprintf(why, size, "the resolver of postern-relay can't be started: %s", strerror(errno));
		err = ERR_SYSTEM;
	} else {
		err = await_start(r->watch.fd, why, size);
	}
	if (err != ERR_OK)
		io_close(&r->watch.fd);
	return err;
}

/* Takes the question out before its caller is told: he may ask again at once. */
static void
answer(struct resolver *r, struct resolver_lookup *l, const struct ipc_resolve_answer *a)
{
	struct resolver_lookup was = *l;

	l->number = 0;
	r->count--;
	was.done(was.owner, a);
}

static void
answer_lost(struct resolver *r, struct resolver_lookup *l, const char *why)
{
	static struct ipc_resolve_answer a;

	a = (struct ipc_resolve_answer){ .number = l->number, .status = RESOLVE_TEMPORARY };
	snprintf(a.why, sizeof(a.why), "%s", why);
	answer(r, l, &a);
}

static void
lose(struct resolver *r)
{
	loop_remove(r->loop, &r->watch);
	io_close(&r->watch.fd);
	for (size_t i = 0; i < RESOLVER_LOOKUPS_MAX; i++)
		if (r->lookups[i].number != 0)
			answer_lost(r, &r->lookups[i], "the resolver has ended");
	r->lost(r->owner);
}

static void
hear(void *owner, uint32_t events)
{
	static struct ipc_resolve_answer a;
	static uint8_t buffer[IPC_SMALL_MAX];
	struct resolver *r = owner;
	struct ipc_message m;
	int err = ipc_recv(r->watch.fd, IPC_RELAY_FROM_RESOLVER, buffer, sizeof(buffer), false, &m);

	(void)events;
	if (err == ERR_BUSY)
		return;
	if (err == ERR_OK)
		err = ipc_get_resolve_answer(&m.body, &a);
	if (err != ERR_OK) {
		if (err != ERR_CLOSED)
			log_event(LOG_LEVEL_ALARM, 0, "resolver.bad_frame", "error", err_text(err), NULL);
		lose(r);
		return;
	}
	for (size_t i = 0; i < RESOLVER_LOOKUPS_MAX; i++) {
		if (r->lookups[i].number == a.number) {
			answer(r, &r->lookups[i], &a);
			return;
		}
	}
}

int
resolver_watch(struct resolver *r, struct loop *loop, void (*lost)(void *owner), void *owner)
{
	r->loop = loop;
	r->lost = lost;
	r->owner = owner;
	r->watch.handle = hear;
	r->watch.owner = r;
	return loop_add(loop, &r->watch, EPOLLIN);
}

int
resolver_ask(struct resolver *r, enum resolve_type type, const char *name,
    void (*done)(void *owner, const struct ipc_resolve_answer *answer), void *owner, uint64_t *number)
{
	struct ipc_resolve m = { .number = r->number + 1, .type = type };
	uint8_t data[RESOLVE_NAME + 32];
	struct wire_out w;
	size_t i = 0;
	int err;

	if (r->watch.fd < 0)
		return ERR_CLOSED;
	while (i < RESOLVER_LOOKUPS_MAX && r->lookups[i].number != 0)
		i++;
	if (i == RESOLVER_LOOKUPS_MAX)
		return ERR_BUSY;
	if ((err = records_put_name(name, m.name)) != ERR_OK)
		return err;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_resolve(&w, &m);
	if ((err = ipc_send(r->watch.fd, &w, NULL, 0, false)) != ERR_OK)
		return err == ERR_BUSY ? ERR_BUSY : ERR_CLOSED;
	r->number = *number = m.number;
	r->count++;
	r->lookups[i] = (struct resolver_lookup){
		.number = m.number, .deadline_ms = io_now_ms() + ANSWER_MS, .done = done, .owner = owner,
	};
	return ERR_OK;
}

void
resolver_forget(struct resolver *r, uint64_t number)
{
	for (size_t i = 0; number != 0 && i < RESOLVER_LOOKUPS_MAX; i++) {
		if (r->lookups[i].number == number) {
			r->lookups[i].number = 0;
			r->count--;
		}
	}
}

void
resolver_tick(struct resolver *r, uint64_t now_ms)
{
	for (size_t i = 0; i < RESOLVER_LOOKUPS_MAX && r->count != 0; i++)
		if (r->lookups[i].number != 0 && now_ms >= r->lookups[i].deadline_ms)
			answer_lost(r, &r->lookups[i], "the resolver has not answered in time");
}

void
resolver_end(struct resolver *r)
{
	if (r->watch.fd < 0)
		return;
	if (r->loop != NULL)
		loop_remove(r->loop, &r->watch);
	io_close(&r->watch.fd);
}
