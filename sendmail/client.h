#ifndef SENDMAIL_CLIENT_H
#define SENDMAIL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_LINE_MAX 1024		/* octets of a reply line that are looked at */
#define CLIENT_LINES_MAX 64		/* lines of one reply */
#define CLIENT_WAIT_S 600		/* for an answer: a commit may take minutes on a slow disk */

/* A session with the service. */
struct client {
	int		fd;
	bool		verbose;	/* the dialogue on standard output */
	/* the last reply */
	unsigned	code;
	char		text[2 * CLIENT_LINE_MAX];	/* its lines without codes, joined by blanks; printable */
	/* what EHLO said */
	char		host[256];
	char sender[CLIENT_LINE_MAX];	/* XSENDER: the account's address, perhaps with '*'; "" for none */
	uint64_t	recipients;	/* LIMITS RCPTMAX */
	size_t		in_start, in_len;
	char		in[4096];
};

/* Connects to the socket of the instance in `root` (NULL: the system's) and takes the greeting. ERR_CLOSED: nobody is
 * there; ERR_SYSTEM. */
int	client_open(struct client *c, const char *root, bool verbose);
void	client_close(struct client *c);

/* Sends a command of one line (made of printable octets, else ERR_SYNTAX) and reads its reply. ERR_CLOSED, ERR_TIMEOUT,
 * ERR_SYSTEM. */
int	client_ask(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads a reply. The same errors. */
int	client_hear(struct client *c);

/* EHLO, and what it offers. */
int	client_greet(struct client *c);

/* Sends a message, its dots stuffed, and its end; reads the reply. */
int client_send_message(
    struct client *c, const uint8_t *header, size_t header_len, const uint8_t *body, size_t body_len);

#endif
