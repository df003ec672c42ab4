#ifndef IPC_MESSAGE_QUEUE_H
#define IPC_MESSAGE_QUEUE_H

#include "ipc.h"

/*
 * The messages of postern-spool's own control socket, over which smtpadm changes the queue while the daemon runs. Questions may be
 * sent ahead; the answers come in their order.
 */
#define IPC_QUEUE_FILE "spool-control"	/* in the instance's run_dir */
#define IPC_QUEUE_AHEAD 64		/* questions that may be unanswered */

enum queue_change {
	QUEUE_REMOVE,
};
struct ipc_queue_change {
	enum queue_change	change;
	char			file[IPC_TEXT_MAX];	/* the message file's name, in whichever folder it stands */
};
void	ipc_put_queue_change(struct wire_out *w, const struct ipc_queue_change *m);
int	ipc_get_queue_change(struct wire_in *w, struct ipc_queue_change *m);

enum queue_verdict {
	QUEUE_DONE,		/* and on stable storage */
	QUEUE_NOT_FOUND,
	QUEUE_BUSY,		/* the message is being worked on: try again */
	QUEUE_FAILED,		/* the disk; the daemon's log says more */
};
struct ipc_queue_answer {
	enum queue_verdict	verdict;
};
void	ipc_put_queue_answer(struct wire_out *w, const struct ipc_queue_answer *m);
int	ipc_get_queue_answer(struct wire_in *w, struct ipc_queue_answer *m);

#endif
