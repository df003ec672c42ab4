#ifndef UNIT_KEYS_FIXTURE_H
#define UNIT_KEYS_FIXTURE_H

#include <limits.h>
#include <sys/types.h>

#include "conf.h"
#include "instance.h"

/* A folder with a key and its self-signed certificate, as an instance has them, and a postern-keys without a sandbox. */
struct keys_fixture {
	struct instance	in;
	struct conf	conf;
	char		key_file[PATH_MAX], certificate_file[PATH_MAX], log_file[PATH_MAX];
	int		control_fd;	/* as the master has it */
	pid_t		pid;
};

/* kind: "RSA" with bits in size, or "EC" with the curve's name. Asserts that all works. */
void	keys_fixture_open(struct keys_fixture *f, const char *kind, size_t size, const char *curve);
/* The same with another subjectAltName, as x509v3_config(5) writes it. */
void	keys_fixture_open_for(struct keys_fixture *f, const char *kind, size_t size, const char *curve, const char *san);
/* The service in a child; its log goes to log_file. */
void	keys_fixture_serve(struct keys_fixture *f);
/* Announces a session and returns the worker's end of its socket. */
int	keys_fixture_session(struct keys_fixture *f, uint64_t number);
/* Ends the control socket; the child's exit status as of waitpid(2). */
int	keys_fixture_stop(struct keys_fixture *f);
void	keys_fixture_close(struct keys_fixture *f);
/* How often a text stands in the log. */
size_t	keys_fixture_logged(const struct keys_fixture *f, const char *text);

#endif
