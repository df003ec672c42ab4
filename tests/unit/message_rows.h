#ifndef UNIT_MESSAGE_ROWS_H
#define UNIT_MESSAGE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "ipc.h"

/* An octet with a range of its own: where it stands behind the kind, and its highest value. */
struct message_bounded {
	uint16_t	at;
	uint8_t		max;
};

struct message_row {
	const char	*name;
	enum ipc_kind	 kind;
	void		(*put)(struct wire_out *out);		/* the sample */
	int		(*again)(struct wire_in *in, struct wire_out *out);	/* gets what is behind the kind, and puts it */
	size_t		 len;		/* octets behind the kind, counted by hand from ipc.h */
	struct message_bounded	bounded[5];	/* ended by a maximum of 0 */
};

extern const struct message_row message_rows[];
extern const size_t message_rows_count;

/* Fills in what the samples hold of addresses. 0 or -1. To be called first. */
int	message_rows_init(void);

#endif
