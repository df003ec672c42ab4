#ifndef RELAY_SCRAM_H
#define RELAY_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_TEXT 1024		/* octets of each message, with NUL */
#define SCRAM_ITERATIONS_MIN 4096	/* RFC 7677, section 4: less would make the proof a gift to a false server */
#define SCRAM_ITERATIONS_MAX 1000000	/* more is an attack on our processor */

/* The client's side of SCRAM without channel binding (RFC 5802, RFC 7677). Holds no password, but keys made of it: wipe it. */
struct scram {
	bool	is_sha256;		/* else SHA-1 */
	char	nonce[64];		/* ours */
	char	first_bare[SCRAM_TEXT];
	uint8_t	server_key_signature[32];
	size_t	digest_len;
};

/* The client's first message; nonce is printable without a comma. ERR_TOOBIG. */
int	scram_first(struct scram *s, bool is_sha256, const char *user, const char *nonce, char to[SCRAM_TEXT]);
/* The answer to the server's first message. ERR_SYNTAX, ERR_DENIED (a nonce not ours, or iterations out of bounds), ERR_TOOBIG, ERR_SYSTEM. */
int	scram_final(struct scram *s, const char *server_first, size_t n, const char *password, char to[SCRAM_TEXT]);
/* Whether the server knows the password, too. ERR_SYNTAX, ERR_DENIED. */
int	scram_verify(const struct scram *s, const char *server_final, size_t n);

#endif
