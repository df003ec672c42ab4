/*
 * Connections to next hops, made without waiting. Run by postern-relay, which may connect and open nothing. Invariant: a socket is
 * either watched here or given to a session process, and an attempt never waits longer than delivery.connect_timeout.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "relay.h"
#include "str.h"

bool
connect_is_self(const struct relay *r, const struct netaddr *a)
{
	const struct conf *c = &r->service->conf;

	for (size_t i = 0; i < c->nlisteners; i++) {
		const struct netaddr *l = &c->listeners[i].address;

		if (l->port == a->port && (netaddr_is_equal(l, a) || (netaddr_is_any(l) && netaddr_is_loopback(a))))
			return true;
	}
	return false;
}

static void
refuse(struct attempt *a, int error)
{
	char text[400];

	str_fmt(text, sizeof(text), "no connection with %s: %s", a->hosts[a->host].name, strerror(error));
	attempt_blame(a, DELIVERY_DEFERRED, DELIVERY_CONNECT, "4.4.1", text);
	attempt_next(a);
}

/* A connection that stands: its session process takes over. */
static void
hand_over(struct attempt *a, int fd)
{
	if (outbound_start(&relay, a, fd) != ERR_OK)
		refuse(a, ENOMEM);
}

static void
handle(void *owner, uint32_t events)
{
	struct attempt *a = owner;
	int error = 0, fd = a->watch.fd;
	socklen_t n = sizeof(error);

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	loop_remove(&relay.loop, &a->watch);
	a->watch.fd = -1;
	if (error == 0) {
		hand_over(a, fd);
		return;
	}
	io_close(&fd);
	refuse(a, error);
}

/* The name is looked up from the system's root, where the relay stands for as long as that takes. */
int
connect_local(const struct relay *r, const char *path, int fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int result, error;

	if (r->root_fd < 0 || str_fmt(sun.sun_path, sizeof(sun.sun_path), "%s", path + strspn(path, "/")) != ERR_OK) {
		errno = ENOENT;
		return -1;
	}
	if (fchdir(r->root_fd) != 0)
		return -1;
	result = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	error = errno;
	if (chdir("/") != 0)
		log_error("chdir-failed", "reason", strerror(errno), NULL);
	errno = error;
	return result;
}

static int
connect_inet(const struct netaddr *address, int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = netaddr_to_sockaddr(address, &ss);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return connect(fd, (struct sockaddr *)&ss, n);
}

void
connect_begin(struct relay *r, struct attempt *a)
{
	const struct netaddr *address = &a->addresses[a->host][a->address];
	int fd = socket(address->family == 0 ? AF_UNIX : address->family == 6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		refuse(a, errno);
		return;
	}
	if ((address->family == 0 ? connect_local(r, a->hosts[a->host].name, fd) : connect_inet(address, fd)) == 0) {
		hand_over(a, fd);
		return;
	}
	if (errno == EINPROGRESS) {
		a->watch = (struct loop_watch){ .fd = fd, .handle = handle, .owner = a };
		a->deadline_ms = io_now_ms() + r->service->conf.delivery_connect_timeout;
		if (loop_add(&r->loop, &a->watch, EPOLLOUT) == ERR_OK)
			return;
		a->watch.fd = -1;
	}
	{
		int error = errno;

		io_close(&fd);
		refuse(a, error);
	}
}

void
connect_tick(struct relay *r, uint64_t now_ms)
{
	for (struct attempt *a = r->attempts, *next; a != NULL; a = next) {
		next = a->next;
		if (a->watch.fd < 0 || now_ms < a->deadline_ms)
			continue;
		loop_remove(&r->loop, &a->watch);
		io_close(&a->watch.fd);
		refuse(a, ETIMEDOUT);
		next = r->attempts;	/* the list may be another now */
	}
}
