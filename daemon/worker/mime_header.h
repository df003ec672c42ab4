#ifndef WORKER_MIME_HEADER_H
#define WORKER_MIME_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mime_decode.h"
#include "mime_name.h"

#define MIME_BOUNDARY_MAX 250	/* octets of a boundary; RFC 2046, 5.1.1 allows 70 */

/* The fields of a header that say what a part is. */
enum mime_field {
	MIME_FIELD_NONE,	/* the header has had no field yet */
	MIME_FIELD_OTHER,
	MIME_FIELD_TYPE,
	MIME_FIELD_ENCODING,
	MIME_FIELD_DISPOSITION,
};

/* What a part is as a whole. */
enum mime_type {
	MIME_TEXT,
	MIME_LEAF,		/* neither text nor one of the following */
	MIME_MULTIPART,
	MIME_DIGEST,		/* its parts are messages where they say nothing (RFC 2046, 5.1.5) */
	MIME_MESSAGE,		/* message/rfc822, message/global */
};

/*
 * What the header of a part says. Where fields contradict each other the stricter reading holds: two Content-Type
 * fields make a fault if one of them is a multipart or a message and they differ, for then a mail program that
 * believes the other one sees parts that were not counted; of others, one that is no text, or a name, is enough to
 * count the part. Two encodings that differ count as they stand.
 */
struct mime_part {
	enum mime_type		type;
	enum mime_encoding	encoding;
	bool			has_type, has_encoding;
	bool			is_attachment;		/* by its disposition, or a field was not read whole */
	char			name[MIME_NAME_MAX];	/* of the file; "": none */
	bool			has_disposition_name;	/* from Content-Disposition, which goes before Content-Type */
	uint8_t			boundary[MIME_BOUNDARY_MAX];
	size_t			boundary_len;		/* 0: none */
	const char		*fault;			/* what is malformed; NULL: nothing */
};

void	mime_part_init(struct mime_part *p, bool in_digest);

/* Which field a name of n octets means. */
enum mime_field mime_field_find(const uint8_t *name, size_t n);

/* Takes a field's value of n octets without line ends; cut: there was more of it. */
void	mime_part_take(struct mime_part *p, enum mime_field field, const uint8_t *value, size_t n, bool cut);

#endif
