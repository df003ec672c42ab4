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

/* Names the program on each line and sets the lowest level that is written. name is kept, not copied. */
void	log_open(const char *name, enum log_level lowest);

/*
 * One event, one line of key=value (logfmt) on standard error, written by one write(2):
 *   session=<16 hex> time=... level=... program=... event=<event> key=value ...
 * session 0 is left out. Behind event come pairs of const char * key, value and a final NULL; a pair whose
 * value is NULL is skipped. Keys are constants; values may be foreign: they are quoted and escaped as
 * needed and cut at 512 octets. Never pass a secret. A worker never logs: its receivers do.
 */
void	log_event(enum log_level level, uint64_t session, const char *event, ...) __attribute__((sentinel));

/* The same with no session. */
#define log_error(event, ...)	log_event(LOG_LEVEL_ERROR, 0, event, __VA_ARGS__)
#define log_info(event, ...)	log_event(LOG_LEVEL_INFO, 0, event, __VA_ARGS__)

/* For programs that are starting: "NAME: message" on standard error, then exit(code), a sysexits(3) number. */
void	log_fatal(int code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

#endif
