/*
 * Socket activation: the listening sockets that LISTEN_FDS hands over, found by their addresses. Run by the master at
 * its start, and when listeners are switched. Invariant: what is no listening TCP socket is closed at once; none
 * reaches another program.
 */
#include "activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "str.h"

#define FIRST_FD 3
#define SOCKETS_MAX 64

static struct {
	int		fd;
	struct netaddr	address;
	char		name[48];	/* of LISTEN_FDNAMES, for the log */
	bool		used;
} sockets[SOCKETS_MAX];
static size_t nsockets;

static bool
is_listening(int fd)
{
	int on = 0, type = 0;
	socklen_t on_len = sizeof(on), type_len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_len) == 0 && on != 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM;
}

static void
take(int fd, const char *name)
{
	struct sockaddr_storage ss = { .ss_family = 0 };
	socklen_t len = sizeof(ss);
	struct netaddr a;
	int on = 1;

	if (!is_listening(fd) || getsockname(fd, (struct sockaddr *)&ss, &len) != 0 ||
	    netaddr_from_sockaddr(&a, &ss) != ERR_OK || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    io_set_nonblock(fd) != ERR_OK) {
		log_event(LOG_LEVEL_WARNING, 0, "activation.refused", "name", name, "reason",
		    "this is no listening TCP socket", NULL);
		close(fd);
		return;
	}
	/* As listeners.c does it for its own; clients' sockets inherit both. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	sockets[nsockets].fd = fd;
	sockets[nsockets].address = a;
	str_fmt(sockets[nsockets].name, sizeof(sockets[0].name), "%s", name);
	nsockets++;
}

/* The first of the names between colons, which is taken away. */
static void
next_name(const char **names, char *to, size_t size)
{
	size_t n = strcspn(*names, ":");

	if (str_copy(to, size, *names, n) != ERR_OK || n == 0)
		str_fmt(to, size, "unknown");
	*names += n + ((*names)[n] == ':');
}

void
activation_take(void)
{
	const char *pid_text = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	uint64_t pid, n;
	char name[48];

	if (names == NULL)
		names = "";
	if (pid_text != NULL && n_text != NULL &&
	    str_parse_u64(pid_text, strlen(pid_text), INT32_MAX, &pid) == ERR_OK && pid == (uint64_t)getpid() &&
	    str_parse_u64(n_text, strlen(n_text), SOCKETS_MAX, &n) == ERR_OK) {
		for (uint64_t i = 0; i < n; i++) {
			next_name(&names, name, sizeof(name));
			take(FIRST_FD + (int)i, name);
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int
activation_open(const struct netaddr *address, int *fd)
{
	for (size_t i = 0; i < nsockets; i++) {
		if (!netaddr_is_equal(&sockets[i].address, address))
			continue;
		if ((*fd = fcntl(sockets[i].fd, F_DUPFD_CLOEXEC, FIRST_FD)) < 0)
			return ERR_SYSTEM;
		sockets[i].used = true;
		return ERR_OK;
	}
	return ERR_NOTFOUND;
}

void
activation_log_unused(void)
{
	char address[NETADDR_TEXT];

	for (size_t i = 0; i < nsockets; i++)
		if (!sockets[i].used)
			log_event(LOG_LEVEL_WARNING, 0, "activation.unused", "name", sockets[i].name, "address",
			    netaddr_put(address, &sockets[i].address), "fix",
			    "name this address in a [listener NAME] section, or take it out of postern.socket", NULL);
}
