/*
 * Log lines: an event each, to standard error or syslog. Runs in every program but workers. Invariant: a line is one
 * write(2), and never waits for syslog.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "log_line.h"
#include "str.h"

#define SYSLOG_SOCKET "/dev/log"
#define FACILITY_MAIL (2 << 3)	/* RFC 5424, 6.2.1 */

static const char *program = "postern";
static enum log_level lowest_level = LOG_LEVEL_INFO;
static enum log_format format = LOG_FORMAT_LOGFMT;
static int syslog_fd = -1;
static pid_t pid;

static const char *const levels[] = {
	[LOG_LEVEL_ALARM] = "alarm", [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
};
static const int severities[] = {
	[LOG_LEVEL_ALARM] = 1, [LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARNING] = 4,
	[LOG_LEVEL_INFO] = 6, [LOG_LEVEL_DEBUG] = 7,
};

void
log_open(const char *name, enum log_level lowest)
{
	program = name;
	lowest_level = lowest;
	/* Else the first line's gmtime_r(3) would look for /etc/localtime, perhaps from inside a sandbox. */
	tzset();
}

void
log_configure(enum log_level lowest, enum log_format form)
{
	lowest_level = lowest;
	format = form;
}

static int
connect_syslog(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (str_fmt(to.sun_path, sizeof(to.sun_path), "%s", SYSLOG_SOCKET) != 0 ||
	    (fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		io_close(&fd);
	return fd;
}

void
log_open_syslog(void)
{
	/* Cached: the sandboxes of some programs have no getpid(2). */
	pid = getpid();
	if (syslog_fd < 0)
		syslog_fd = connect_syslog();
	if (syslog_fd < 0)
		log_event(LOG_LEVEL_WARNING, 0, "log.syslog_missing", "socket", SYSLOG_SOCKET,
		    "reason", strerror(errno), "fix", "start a syslog daemon, or set log.target stderr",
		    "meanwhile", "standard error is used", NULL);
}

/* One datagram, as syslog(3) makes it. False when the line was not taken. */
static bool
send_to_syslog(enum log_level level, const struct log_line *l)
{
	char text[LOG_LINE_MAX + 96], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (syslog_fd < 0 || localtime_r(&now, &tm) == NULL || strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm) == 0)
		return false;
	n = snprintf(text, sizeof(text), "<%d>%s %s[%ld]: %.*s", FACILITY_MAIL | severities[level], when, program,
	    (long)pid, (int)l->len - 1, l->text);
	return n > 0 && (size_t)n < sizeof(text) && write(syslog_fd, text, (size_t)n) == n;
}

void
log_event(enum log_level level, uint64_t session, const char *event, ...)
{
	struct log_line l;
	char text[32];
	const char *key;
	va_list ap;
	ssize_t n;

	if (level > lowest_level)
		return;
	log_line_begin(&l, format);
	if (session != 0)
		log_line_put(&l, "session", str_put_hex64(text, session));
	log_line_put(&l, "time", str_put_time(text, io_now_us()));
	log_line_put(&l, "level", levels[level]);
	log_line_put(&l, "program", program);
	log_line_put(&l, "event", event);
	va_start(ap, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value != NULL)
			log_line_put(&l, key, value);
	}
	va_end(ap);
	log_line_end(&l);
	if (send_to_syslog(level, &l))
		return;
	n = write(STDERR_FILENO, l.text, l.len);
	(void)n;
}

void
log_fatal(int code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (syslog_fd >= 0)
		log_error("start.failed", "reason", text, NULL);
	fprintf(stderr, "%s: %s\n", program, text);
	exit(code);
}
