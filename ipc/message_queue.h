#ifndef IPC_MESSAGE_QUEUE_H
#define IPC_MESSAGE_QUEUE_H

#include "ipc.h"

/*
 * The messages of postern-spool's own control socket, over which smtpadm changes the queue while the daemon runs. Questions may be
 * sent ahead; the answers come in their order.
 */
#define IPC_QUEUE_FILE "spool-control"	/* in the instance's run_dir */
#define IPC_QUEUE_AHEAD 8		/* questions that may be unanswered */
#define IPC_QUEUE_FILES 96		/* files of one question */
#define IPC_QUEUE_MANY (IPC_QUEUE_AHEAD * IPC_QUEUE_FILES)	/* that may be asked about ahead */

enum queue_change {
	QUEUE_REMOVE,
	QUEUE_HOLD,
	QUEUE_RELEASE,		/* from hold/, or from failed/ to be tried once more */
	QUEUE_RETRY,		/* what waits is due now */
	QUEUE_BOUNCE,		/* what waits is given up and reported */
	QUEUE_REROUTE,
};
struct ipc_queue_change {
	enum queue_change	change;
	char			text[IPC_TEXT_MAX];	/* HOLD: the reason; REROUTE: the route, "" for the rules' own; else "" */
	uint16_t		n;			/* 1 to IPC_QUEUE_FILES */
	char			files[IPC_QUEUE_FILES][IPC_TEXT_MAX];	/* names of message files, in whichever folder they stand */
};
void	ipc_put_queue_change(struct wire_out *w, const struct ipc_queue_change *m);
int	ipc_get_queue_change(struct wire_in *w, struct ipc_queue_change *m);

enum queue_verdict {
	QUEUE_DONE,		/* and on stable storage */
	QUEUE_NOT_FOUND,
	QUEUE_BUSY,		/* the message is being worked on: try again */
	QUEUE_UNFIT,		/* not in its state: one that is held can't be retried, say; or its file is corrupt */
	QUEUE_FAILED,		/* the disk; the daemon's log says more */
};
struct ipc_queue_answer {
	uint16_t		n;			/* as many as the question had */
	enum queue_verdict	verdicts[IPC_QUEUE_FILES];
};
void	ipc_put_queue_answer(struct wire_out *w, const struct ipc_queue_answer *m);
int	ipc_get_queue_answer(struct wire_in *w, struct ipc_queue_answer *m);

/* IPC_DELIVERY: all deliveries together. */
enum delivery_order {
	DELIVERY_TELL,		/* only how it is */
	DELIVERY_PAUSE,		/* nothing is given out until RESUME, or until postern-spool ends; what is under way is finished */
	DELIVERY_RESUME,
};
struct ipc_delivery_order {
	enum delivery_order	order;
	char			reason[IPC_TEXT_MAX];	/* DELIVERY_PAUSE, "" for none */
};
void	ipc_put_delivery_order(struct wire_out *w, const struct ipc_delivery_order *m);
int	ipc_get_delivery_order(struct wire_in *w, struct ipc_delivery_order *m);

struct ipc_delivery_state {
	bool		is_paused;
	char		reason[IPC_TEXT_MAX];
	uint64_t	paused_ms;		/* for how long */
	uint64_t	scheduled;		/* messages that delivery has to do with */
	uint64_t	underway;		/* deliveries that relay has */
};
void	ipc_put_delivery_state(struct wire_out *w, const struct ipc_delivery_state *m);
int	ipc_get_delivery_state(struct wire_in *w, struct ipc_delivery_state *m);

#endif
