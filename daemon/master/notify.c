/*
 * Words to the service manager: ready, reloading, stopping, alive. One datagram each to the socket that NOTIFY_SOCKET
 * names. Run by the master. Invariant: nothing waits for the manager, and neither socket nor variable reaches another
 * program.
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "str.h"

static int notify_fd = -1;
static uint64_t watchdog_ms, alive_ms;	/* half of what WATCHDOG_USEC allows; when it is due */

/* A path, or behind "@" a name of the abstract kind. */
static int
connect_manager(const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd;

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(to.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = 0;
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
		io_close(&fd);
	return fd;
}

static void
tell(const char *text)
{
	ssize_t n;

	if (notify_fd < 0)
		return;
	n = send(notify_fd, text, strlen(text), MSG_NOSIGNAL);
	(void)n;
}

static void
open_watchdog(void)
{
	const char *time_text = getenv("WATCHDOG_USEC"), *pid_text = getenv("WATCHDOG_PID");
	uint64_t us, pid;

	if (time_text == NULL || str_parse_u64(time_text, strlen(time_text), UINT64_MAX, &us) != ERR_OK)
		return;
	if (pid_text != NULL && (str_parse_u64(pid_text, strlen(pid_text), UINT64_MAX, &pid) != ERR_OK ||
	    pid != (uint64_t)getpid()))
		return;
	watchdog_ms = us / 2000;
}

void
notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	if (name != NULL && (notify_fd = connect_manager(name)) < 0)
		log_event(LOG_LEVEL_WARNING, 0, "notify.failed", "socket", name, "reason", strerror(errno), NULL);
	if (notify_fd >= 0)
		open_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void
notify_ready(const char *status)
{
	char text[1100];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	for (char *at = text + strlen("READY=1\nSTATUS="); *at != 0; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	tell(text);
}

/* The time is systemd's way to tell this reload from an older one. */
void
notify_reloading(void)
{
	char text[96];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Loading the configuration",
	    (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=Finishing what is under way");
}

int
notify_tick(uint64_t now_ms)
{
	if (watchdog_ms == 0)
		return -1;
	if (now_ms >= alive_ms) {
		tell("WATCHDOG=1");
		alive_ms = now_ms + watchdog_ms;
	}
	return (int)(alive_ms - now_ms);
}
