#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

enum log_level {
	LOG_LEVEL_ALARM,	/* someone should look at once: a crash, a forbidden system call */
	LOG_LEVEL_ERROR,	/* the service is not as it should be */
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,		/* an event of ordinary life */
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_LOGFMT,	/* key=value key="two words" */
	LOG_FORMAT_JSON,	/* one object a line with the same keys; all values are strings */
};

enum log_target {
	LOG_TARGET_STDERR,
	LOG_TARGET_SYSLOG,
};

/* Names the program on each line and sets the lowest level that is written. name is kept, not copied. */
void	log_open(const char *name, enum log_level lowest);

/* The lowest level and the form of lines from here on; at any time. */
void	log_configure(enum log_level lowest, enum log_format format);

/*
 * From here on lines go to syslog(3)'s socket, with facility mail; while a program still may open files, and once.
 * Nothing ever waits for it: a line that it does not take at once goes to standard error.
 */
void	log_open_syslog(void);

/*
 * One event, one line on standard error, written by one write(2):
 *   session=<16 hex> time=... level=... program=... event=<event> key=value ...
 * or the same as JSON. session 0 is left out. Behind event come pairs of const char * key, value and a final NULL; a pair whose
 * value is NULL is skipped. Keys are constants; values may be foreign: they are quoted and escaped as
 * needed and cut at 512 octets. Never pass a secret. A worker never logs: its receivers do.
 */
void	log_event(enum log_level level, uint64_t session, const char *event, ...) __attribute__((sentinel));

/* The same with no session. */
#define log_error(event, ...)	log_event(LOG_LEVEL_ERROR, 0, event, __VA_ARGS__)
#define log_info(event, ...)	log_event(LOG_LEVEL_INFO, 0, event, __VA_ARGS__)

/* For programs that are starting: "NAME: message" on standard error (and an event in syslog, if that is open), then
 * exit(code), a sysexits(3) number. */
void	log_fatal(int code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

#endif
