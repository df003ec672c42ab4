#ifndef UNIT_TLS_FIXTURE_H
#define UNIT_TLS_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>
#include <openssl/types.h>

struct tls_shared;

#define SERVED 42	/* a worker's exit status when a whole session was served */
#define V2 TLS1_2_VERSION
#define V3 TLS1_3_VERSION

/* A worker behind fds[1]: its exit status is SERVED, or the negated error of the handshake. */
pid_t	tls_fixture_start(struct tls_shared *s, int fds[2], int keys_fd);
int	tls_fixture_end(pid_t pid);

/* Whether what a client sends comes back from the worker, whole. */
bool	tls_fixture_is_echoed(SSL *ssl);

#endif
