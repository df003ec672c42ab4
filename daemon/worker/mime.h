#ifndef WORKER_MIME_H
#define WORKER_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mime_decode.h"
#include "mime_header.h"

#define MIME_DEPTH_MAX 100		/* containers around a part: PROTOCOL, reading 17 */
#define MIME_HEADER_MAX (256 * 1024)	/* octets of one header, its blank line not counted: reading 17 */
#define MIME_LINE_MAX 1000		/* octets that a field's name may take; of a line that are kept */
#define MIME_FIELD_MAX 8192		/* octets of a value that are read; a part with a longer one is an attachment */

/*
 * The parts of a message as it passes: the decoded size of each attachment, and what is malformed.
 *
 * An attachment is a leaf part with a disposition other than inline, or a file name, or a type other than text. A
 * message/rfc822 or message/global part is no leaf: its inside is walked, and what is in it is counted part by part,
 * so that a message that was let through once may be forwarded as it is. Only where its inside can't be read,
 * because it is encoded (which RFC 2046, 5.2.1 forbids), it is counted as one leaf. The encoding of a multipart is
 * ignored (RFC 2045, 6.4 allows none).
 *
 * A delimiter is "--", a boundary, perhaps "--", any white space, and nothing else; the innermost boundary that fits is
 * the one meant. Parts have the numbers that IMAP gives them.
 *
 * Memory is this struct and no more (about 37 KiB); time is linear in the size of the message.
 */
enum mime_verdict {
	MIME_OK,
	MIME_ATTACHMENT_TOO_BIG,	/* name says which */
	MIME_MALFORMED,			/* reason says why */
};

/* A container around the part that passes. */
struct mime_level {
	uint8_t		type;		/* enum mime_type: MIME_MULTIPART, MIME_DIGEST or MIME_MESSAGE */
	bool		is_seen;	/* its boundary came */
	uint16_t	boundary_len;
	uint32_t	hash;		/* of the boundary */
	uint32_t	children;	/* parts so far */
	uint8_t		boundary[MIME_BOUNDARY_MAX];
};

struct mime {
	enum mime_verdict	verdict;
	char			name[MIME_NAME_MAX];	/* of the first one over the limit: printable, or "part 1.2" */
	const char		*reason;		/* a constant, or NULL */
	uint64_t		limit;
	uint32_t		attachments;		/* those that ended so far, */
	uint64_t		largest, total;		/* and their decoded octets */
	uint64_t		steps;			/* work done, for the test that time is linear */

	struct mime_part	part;			/* the part that passes */
	bool			in_header, is_counted;
	bool			begins_message;		/* the header is an inner message's, and has no line yet */
	struct mime_count	count;
	uint8_t			line_state;
	uint8_t			long_name;		/* the line may be a field with a name over MIME_LINE_MAX */
	size_t			header_len;
	enum mime_field		field;			/* the field that passes */
	bool			field_is_cut;
	size_t			field_len, line_len, depth;
	uint64_t		padding;		/* octets of white space behind the line that is kept */
	/* mime_init() leaves what follows as it is. */
	uint8_t			field_value[MIME_FIELD_MAX];
	uint8_t			line[MIME_LINE_MAX];	/* the beginning of a line that must be judged */
	struct mime_level	levels[MIME_DEPTH_MAX];
};

/* attachment_limit: decoded octets; exactly so many pass. */
void	mime_init(struct mime *m, uint64_t attachment_limit);

/*
 * Takes the next octets of a message: dots undone, lines ended by CRLF, cut anywhere. Returns the verdict so far;
 * what is not MIME_OK stays, and the rest of the message is not looked at.
 */
enum mime_verdict mime_feed(struct mime *m, const void *p, size_t n);

/* The message has ended. */
enum mime_verdict mime_end(struct mime *m);

#endif
