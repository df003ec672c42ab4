#ifndef WORKER_REPLY_H
#define WORKER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every reply there is; the table in reply.c says code, enhanced code (RFC 3463), text and traits. */
enum reply_id {
	REPLY_NONE,			/* nothing is said: the session just ends */
	REPLY_GREETING,
	REPLY_STATUS,
	REPLY_HELP,
	REPLY_TLS_READY,
	REPLY_BYE,
	REPLY_AUTH_OK,
	REPLY_OK,
	REPLY_SENDER_OK,
	REPLY_RECIPIENT_OK,
	REPLY_QUEUED,
	REPLY_CHUNK_OK,
	REPLY_HELLO,
	REPLY_CANNOT_VRFY,
	REPLY_ETRN_STARTED,
	REPLY_ETRN_NONE,
	REPLY_ETRN_PENDING,
	REPLY_ETRN_COUNTED,
	REPLY_AUTH_USER,
	REPLY_AUTH_PASSWORD,
	REPLY_AUTH_CONTINUE,
	REPLY_START_DATA,
	REPLY_TIMEOUT,
	REPLY_SHUTDOWN,
	REPLY_TOO_MANY_FROM_ADDRESS,
	REPLY_OVERLOADED,
	REPLY_TOO_MANY_ERRORS,
	REPLY_LOGIN_THROTTLED,
	REPLY_SENDER_THROTTLED,
	REPLY_LOCAL_ERROR,
	REPLY_NO_STORAGE,
	REPLY_TOO_MANY_RECIPIENTS,
	REPLY_TLS_UNAVAILABLE,
	REPLY_AUTH_UNAVAILABLE,
	REPLY_ETRN_UNABLE,
	REPLY_ETRN_NOT_ALLOWED,
	REPLY_UNKNOWN_COMMAND,
	REPLY_LINE_TOO_LONG,
	REPLY_TOO_MANY_SESSIONS,
	REPLY_BAD_ARGUMENT,
	REPLY_NEEDS_BRACKETS,
	REPLY_BAD_BASE64,
	REPLY_AUTH_CANCELLED,
	REPLY_NO_ARGUMENT_ALLOWED,
	REPLY_DUPLICATE_PARAMETER,
	REPLY_NOT_IMPLEMENTED,
	REPLY_BAD_SEQUENCE,
	REPLY_ALREADY_AUTHENTICATED,
	REPLY_UNKNOWN_MECHANISM,
	REPLY_UNKNOWN_TOPIC,
	REPLY_BAD_PARAMETER_VALUE,
	REPLY_CLOSED_TO_CLIENT,
	REPLY_INVALID_ADDRESS,
	REPLY_AUTH_REQUIRED,
	REPLY_LOCAL_UNKNOWN,
	REPLY_LOGIN_VOID,
	REPLY_TLS_REQUIRED,
	REPLY_AUTH_INVALID,
	REPLY_ENCRYPTION_REQUIRED,
	REPLY_MAILBOX_UNAVAILABLE,
	REPLY_MESSAGE_TOO_BIG,
	REPLY_ATTACHMENT_TOO_BIG,
	REPLY_SENDER_NOT_ALLOWED,
	REPLY_HEADER_SENDER_NOT_ALLOWED,
	REPLY_BAD_OCTETS,
	REPLY_MALFORMED_MESSAGE,
	REPLY_NO_RECIPIENTS,
	REPLY_LOOP,
	REPLY_BANNED,
	REPLY_UNKNOWN_PARAMETER,
	REPLY_COUNT
};

enum reply_trait {
	REPLY_IS_ERROR = 1 << 0,	/* counts towards limits.errors */
	REPLY_CLOSES = 1 << 1,		/* the session ends after it */
	REPLY_TAKES_ARGUMENT = 1 << 2,	/* a '$' in its text is replaced */
	REPLY_BARE = 1 << 3,		/* no enhanced code: greeting, EHLO's answer, 3xx */
};

struct reply_form {
	uint16_t	 code;
	uint8_t		 enhanced[3];
	const char	*text;
};

struct reply {
	struct reply_form	form;
	struct reply_form	rfc;	/* code 0: the same as form */
	unsigned		traits;	/* enum reply_trait */
	const char		*cause;	/* for the manual's list */
};

/* A row; rows exist for every id but REPLY_NONE and REPLY_COUNT. */
const struct reply *reply_find(enum reply_id id);

#define REPLY_LINE_MAX 512	/* octets of a reply line with CRLF (RFC 5321, 4.5.3.1.5) */

/*
 * Writes a reply into to (size octets): one line for each line of `argument` when the text is only "$" (HELP), else one line.
 * Octets in the argument that are not printable ASCII become '?'; what does not fit a line is cut. Returns the octets written.
 */
size_t	reply_put(char *to, size_t size, enum reply_id id, const char *argument, bool rfc);

#endif
