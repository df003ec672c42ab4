#ifndef SPOOL_NAME_H
#define SPOOL_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "spool.h"

#define NAME_ID_LEN 16		/* characters of a queue id: 80 bits, 5 each */
#define NAME_HOST_MAX 160	/* characters of the host in a file name: NAME_MAX is 255 */

/* What a file name says: SECONDS.Q<id>S<session, 16 hex>T<transaction>.HOST, and behind it maildir's ":2,FLAGS". */
struct name {
	uint64_t	seconds;	/* since 1970, of the arrival */
	char		id[SPOOL_ID_TEXT];
	uint64_t	session;
	uint32_t	t;
};

/* to holds SPOOL_NAME_MAX; returns to. A longer host is cut. */
char	*name_put(char *to, const struct name *n, const char *host);

/* ERR_SYNTAX: none of ours. */
int	name_get(const char *text, struct name *n);

/* The id of a time in microseconds (56 bits) and 24 further bits. Ids sort like their times. Returns to. */
char	*name_put_id(char to[SPOOL_ID_TEXT], uint64_t us, uint32_t random);

/* The time that an id was made from. ERR_SYNTAX. */
int	name_get_id(const char *id, size_t n, uint64_t *us);

#endif
