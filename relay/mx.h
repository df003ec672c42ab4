#ifndef RELAY_MX_H
#define RELAY_MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One mail exchanger. */
struct mx_host {
	uint16_t	preference;
	bool		is_self;	/* it is ourselves, by its name or an address: set by the caller */
	char		name[256];	/* without the dot at its end; "" for the null MX (RFC 7505) */
};

enum mx_verdict {
	MX_USE,		/* the hosts that are left, in order */
	MX_NULL,	/* the domain takes no mail */
	MX_LOOP,	/* we are the best of them: nobody to give it to */
};

/*
 * Brings hosts into the order to try them in (RFC 5321, 5.1): by preference, equals by chance; we ourselves, and all that are no
 * better than we are, are dropped. *n becomes the number left. Random comes from the caller. Pure.
 */
enum mx_verdict mx_order(struct mx_host *hosts, size_t *n, uint32_t (*pick)(void));

#endif
