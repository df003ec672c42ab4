#ifndef UNIT_RELAY_DRIVER_H
#define UNIT_RELAY_DRIVER_H

#include <stdbool.h>

#include "message_relay.h"
#include "spool_fixture.h"

/* What plays postern-relay beside a fixture: it is given deliveries and says what became of them. */
struct got {
	struct ipc_deliver	deliver;
	int			file, socket;
	size_t			n;
	uint16_t		indexes[RELAY_RECIPIENTS_MAX];
	char			addresses[RELAY_RECIPIENTS_MAX][ADDR_TEXT];
	uint8_t			notify[RELAY_RECIPIENTS_MAX];
};

/* Makes the link, and says READY. Returns relay's end. */
int	relay_link(struct fixture *f);
/* The link alone. */
int	relay_link_silent(struct fixture *f);
void	relay_ready(int link);

/* The next delivery; false: none within ms. */
bool	relay_next(int link, struct got *g, int ms);

/* What became of a recipient; of all others. */
void	got_result(struct got *g, uint16_t index, enum delivery_verdict verdict, uint16_t code, const char *reply);
void	got_finish(struct got *g, enum delivery_verdict verdict, uint16_t code, const char *reply);
void	got_finish_as(struct got *g, const struct ipc_finished *m);
/* Whether FINISHED is answered within ms; closes both descriptors if it is, or close_anyway. */
bool	got_is_answered(struct got *g, int ms);
void	got_close(struct got *g);
/* got_finish() and its answer. */
void	got_settle(struct got *g, enum delivery_verdict verdict, uint16_t code, const char *reply);

/* As after a restart of the spool: a delivery that a session process still has. */
void	relay_underway(int link, struct got *g);

/* The octets of the message that a delivery is of (malloc'd, NUL behind). */
char	*got_message(const struct got *g);

/* Whether a count of entries is reached in time: of a folder; of state/. */
bool	fixture_has(const struct fixture *f, enum spool_folder folder, size_t n, int ms);
size_t	fixture_states(const struct fixture *f);
bool	fixture_has_states(const struct fixture *f, size_t n, int ms);

#endif
