#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "admin.h"
#include "message_control.h"

/* A connection to the running posternd. */
struct control {
	const struct admin	*a;
	int			 fd;
	uint8_t			 buffer[IPC_SMALL_MAX];
};

/* Connects without a word. ERR_NOTFOUND: it does not run; ERR_DENIED; ERR_SYSTEM. */
int	control_connect(struct control *c, const struct admin *a);
void	control_close(struct control *c);

/* The same as a command has it: exit code, and why was said; 69 when the daemon does not run. */
int	control_open(struct control *c, const struct admin *a);

/* Sends a question. Exit code. */
int	control_ask(struct control *c, const struct wire_out *w);
/* A question without fields. */
int	control_ask_empty(struct control *c, enum ipc_kind kind);
/* The next datagram of the answer; its fields are in m->body. Exit code. */
int	control_hear(struct control *c, enum ipc_kind kind, struct ipc_message *m);
/* An answer that could not be understood: says so. Exit code. */
int	control_fail(struct control *c);

/* Opens, asks, hears an IPC_CONTROL_..._ANSWER with struct ipc_control_done, closes. Exit code of the way there; d has the other. */
int	control_order(const struct admin *a, const struct wire_out *w, enum ipc_kind answer, struct ipc_control_done *d);

#endif
