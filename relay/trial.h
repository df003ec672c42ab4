#ifndef RELAY_TRIAL_H
#define RELAY_TRIAL_H

#include <stdbool.h>

struct relay;
struct service;
struct session_facts;

/*
 * postern-relay --test NAME [--to ADDRESS] [--from ADDRESS] [--root DIR], called by smtpadm route test: tries a route without sending
 * mail, and prints what came of each step, a line each: STEP, ok|failed|refused and a text, divided by tabs.
 */
bool	trial_is_wanted(int argc, char **argv);
/* Reads the command line and the configuration, of which the one route is left. Ends the process on an error. */
void	trial_start(struct service *s, int argc, char **argv);
/* With the sandbox closed. Returns the exit code: 0; 1: the recipient is refused; EX_NOHOST: there is no way. */
int	trial_run(struct relay *r);

/* The half that talks with the server, in a process of its own, sealed: 0, 1 or EX_NOHOST. */
int	trial_session(const struct session_facts *facts, int fd, int control_fd);
/* One line. */
void	trial_say(const char *step, const char *verdict, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "" where there is none. */
const char *trial_recipient(void);
const char *trial_sender(void);

#endif
