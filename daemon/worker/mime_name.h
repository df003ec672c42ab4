#ifndef WORKER_MIME_NAME_H
#define WORKER_MIME_NAME_H

#include <stddef.h>
#include <stdint.h>

#define MIME_NAME_MAX 128		/* octets of a name as it is shown, with NUL */
#define MIME_NAME_RAW_MAX 1024		/* octets of a name that are looked at */

/*
 * A file name as it stood in a field (quotes and RFC 2231 undone, at most MIME_NAME_RAW_MAX octets of it are looked
 * at) for a reply line: encoded-words (RFC 2047) decoded, one '?' for each character that is not printable ASCII,
 * "..." where it was cut.
 */
void	mime_name_put(char to[MIME_NAME_MAX], const uint8_t *p, size_t n);

#endif
