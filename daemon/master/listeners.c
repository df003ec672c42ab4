/*
 * Listening sockets. Run by the master, which opens them with its rights and accepts, but reads no octet from them.
 */
#include "listeners.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "activation.h"
#include "err.h"
#include "io.h"
#include "local.h"
#include "log.h"
#include "master.h"
#include "reply.h"

#define BACKLOG 4096		/* bounded by net.core.somaxconn */
#define ACCEPTS_A_ROUND 16	/* then the other sockets have their turn */

static int
explain(char *why, size_t size, const struct conf_listener *l)
{
	char address[NETADDR_TEXT];
	int saved = errno;

	netaddr_put(address, &l->address);
	if (saved == EADDRINUSE) {
		snprintf(why, size, "listener '%s': %s is in use by another program; stop it or change the listener's address",
		    l->name, address);
		return ERR_EXISTS;
	}
	if (saved == EACCES) {
		snprintf(why, size, "listener '%s': no right to listen on %s; start posternd as root or use a port over 1023",
		    l->name, address);
		return ERR_DENIED;
	}
	snprintf(why, size, "listener '%s': can't listen on %s: %s", l->name, address, strerror(saved));
	return ERR_SYSTEM;
}

static int
open_socket(const struct conf_listener *l, int *fd)
{
	struct sockaddr_storage ss;
	socklen_t len = netaddr_to_sockaddr(&l->address, &ss);
	int on = 1, only6 = netaddr_is_any(&l->address) && l->address.family == 6 ? 0 : 1;

	*fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return ERR_SYSTEM;
	if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    /* Inherited by accepted sockets: without it TLS records wait for delayed ACKs. */
	    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0 ||
	    (ss.ss_family == AF_INET6 && setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6)) != 0) ||
	    bind(*fd, (struct sockaddr *)&ss, len) != 0 || listen(*fd, BACKLOG) != 0) {
		io_close(fd);
		return ERR_SYSTEM;
	}
	return ERR_OK;
}

/* No worker can be made to say it: the reply goes out as it is, best effort, where no TLS must come first. */
static void
turn_away(const struct listener *l, int fd)
{
	char text[REPLY_LINE_MAX];
	size_t n = reply_put(text, sizeof(text), REPLY_OVERLOADED, l->master->setup.conf.hostname, false);

	if (l->conf.kind != LISTENER_SUBMISSIONS && send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	io_close(&fd);
}

/* Who is at both ends. At the local socket: the user that had connected, as the kernel knows it. */
static int
get_addresses(const struct listener *l, int fd, const struct sockaddr_storage *ss, struct netaddr *peer, struct netaddr *local)
{
	struct sockaddr_storage ours = { .ss_family = 0 };
	socklen_t len = sizeof(ours);

	if (l->conf.kind == LISTENER_LOCAL) {
		*local = l->conf.address;
		return local_get_peer(fd, peer);
	}
	if (getsockname(fd, (struct sockaddr *)&ours, &len) != 0 || netaddr_from_sockaddr(peer, ss) != ERR_OK)
		return ERR_SYSTEM;
	return netaddr_from_sockaddr(local, &ours);
}

void
listeners_accept(void *owner, uint32_t events)
{
	struct listener *l = owner;
	struct master *m = l->master;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_ROUND && !m->listeners.paused; i++) {
		struct sockaddr_storage ss = { .ss_family = 0 };
		socklen_t len = sizeof(ss);
		struct netaddr peer, local;
		int fd;

		/* A worker first: a client that nobody can serve waits in the kernel. */
		bool served = pool_can_serve(m);

		if (!served && !pool_is_starved(m)) {
			listeners_pause(m);
			return;
		}
		if ((fd = accept4(l->watch.fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
				log_error("accept.failed", "reason", strerror(errno), NULL);
				listeners_pause(m);
			}
			return;
		}
		if (get_addresses(l, fd, &ss, &peer, &local) != ERR_OK)
			io_close(&fd);
		else if (!served)
			turn_away(l, fd);
		else
			dispatch_client(m, l, fd, &peer, &local);
	}
}

static struct listener *
find_open(struct listeners *ls, const struct netaddr *address)
{
	for (size_t i = 0; i < ls->n; i++)
		if (netaddr_is_equal(&ls->list[i]->conf.address, address))
			return ls->list[i];
	return NULL;
}

static void
close_listener(struct master *m, struct listener *l)
{
	if (l->watched)
		loop_remove(&m->loop, &l->watch);
	io_close(&l->watch.fd);
	free(l);
}

static int
open_listener(struct master *m, const struct conf_listener *c, struct listener **made, char *why, size_t size)
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd;

	if (l == NULL) {
		snprintf(why, size, "out of memory");
		return ERR_NOMEM;
	}
	if (activation_open(&c->address, &fd) != ERR_OK && open_socket(c, &fd) != ERR_OK) {
		free(l);
		return explain(why, size, c);
	}
	l->master = m;
	l->conf = *c;
	l->watch = (struct loop_watch){ .fd = fd, .handle = listeners_accept, .owner = l };
	*made = l;
	return ERR_OK;
}

int
listeners_switch(struct master *m, const struct conf *c, char *why, size_t size)
{
	struct listener *fresh[CONF_LISTENERS_MAX] = { NULL };
	struct listeners old = m->listeners;
	int err = ERR_OK;

	for (size_t i = 0; i < c->nlisteners; i++) {
		if (find_open(&old, &c->listeners[i].address) != NULL)
			continue;
		if ((err = open_listener(m, &c->listeners[i], &fresh[i], why, size)) == ERR_OK)
			continue;
		while (i-- > 0)
			if (fresh[i] != NULL)
				close_listener(m, fresh[i]);
		return err;
	}
	m->listeners.n = 0;
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct listener *l = fresh[i] != NULL ? fresh[i] : find_open(&old, &c->listeners[i].address);

		l->conf = c->listeners[i];
		m->listeners.list[m->listeners.n++] = l;
	}
	for (size_t i = 0; i < old.n; i++)
		if (find_open(&m->listeners, &old.list[i]->conf.address) != old.list[i])
			close_listener(m, old.list[i]);
	local_switch(m, c->local_submit != 0);
	if (!m->listeners.paused)
		listeners_resume(m);
	return ERR_OK;
}

static void
watch(struct master *m, struct listener *l)
{
	if (!l->watched)
		l->watched = loop_add(&m->loop, &l->watch, EPOLLIN) == ERR_OK;
}

static void
unwatch(struct master *m, struct listener *l)
{
	if (l->watched)
		loop_remove(&m->loop, &l->watch);
	l->watched = false;
}

void
listeners_pause(struct master *m)
{
	m->listeners.paused = true;
	for (size_t i = 0; i < m->listeners.n; i++)
		unwatch(m, m->listeners.list[i]);
	if (m->listeners.local != NULL)
		unwatch(m, m->listeners.local);
}

void
listeners_resume(struct master *m)
{
	m->listeners.paused = false;
	for (size_t i = 0; i < m->listeners.n; i++)
		watch(m, m->listeners.list[i]);
	if (m->listeners.local != NULL)
		watch(m, m->listeners.local);
}

void
listeners_close(struct master *m)
{
	for (size_t i = 0; i < m->listeners.n; i++)
		close_listener(m, m->listeners.list[i]);
	m->listeners.n = 0;
	local_switch(m, false);
}
