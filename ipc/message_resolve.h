#ifndef IPC_MESSAGE_RESOLVE_H
#define IPC_MESSAGE_RESOLVE_H

#include "ipc.h"

/* The messages between postern-relay and its resolver, the process that asks the DNS. */
#define RESOLVE_MAX 20		/* hosts or addresses of one answer; what is beyond is left out */
#define RESOLVE_NAME 256	/* octets of a name, with NUL */
#define RESOLVE_WHY 160

enum resolve_type {
	RESOLVE_MX,		/* mail exchangers of a domain */
	RESOLVE_ADDRESSES,	/* of a host: IPv6 first, then IPv4 */
};

struct ipc_resolve {
	uint64_t		number;
	enum resolve_type	type;
	char			name[RESOLVE_NAME];
};
void	ipc_put_resolve(struct wire_out *w, const struct ipc_resolve *m);
int	ipc_get_resolve(struct wire_in *w, struct ipc_resolve *m);

enum resolve_status {
	RESOLVE_OK,		/* n is not 0 */
	RESOLVE_NXDOMAIN,	/* there is no such name */
	RESOLVE_NODATA,		/* the name is there, without records of this type */
	RESOLVE_TEMPORARY,	/* no answer in time, or SERVFAIL and the like: try again */
	RESOLVE_BOGUS,		/* the answer failed its validation (DNSSEC): try again, and do not use it */
	RESOLVE_UNUSABLE,	/* MX records are there, but none has a host name that could be one */
};
#define RESOLVE_STATUS_MAX RESOLVE_UNUSABLE

struct ipc_resolve_answer {
	uint64_t		number;
	enum resolve_type	type;
	enum resolve_status	status;
	bool			is_secure;		/* validated (DNSSEC) */
	char			why[RESOLVE_WHY];	/* printable; "" when OK: what went wrong, a phrase */
	uint16_t		n;
	struct {
		uint16_t	preference;
		char		name[RESOLVE_NAME];	/* lower case, no dot at its end; "": the null MX (RFC 7505) */
	}			hosts[RESOLVE_MAX];	/* RESOLVE_MX, by preference */
	struct netaddr		addresses[RESOLVE_MAX];	/* RESOLVE_ADDRESSES; no port */
};
void	ipc_put_resolve_answer(struct wire_out *w, const struct ipc_resolve_answer *m);
int	ipc_get_resolve_answer(struct wire_in *w, struct ipc_resolve_answer *m);

#endif
