/*
 * The master's messages to postern-auth: sessions, the link to the spool, new configurations.
 * Invariant: a running session keeps the configuration that it began with.
 */
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "message_control.h"
#include "session.h"

void
auth_conf_release(struct auth_conf *c)
{
	if (--c->users == 0)
		free(c);
}

static int
begin_session(struct auth *a, struct ipc_message *m)
{
	struct ipc_session session;
	int err;

	if ((err = ipc_get_session(&m->body, &session)) == ERR_OK &&
	    (err = session_begin(a, &session, m->fds[0])) == ERR_OK)
		m->fds[0] = -1;
	return err;
}

static int
take_link(struct auth *a, struct ipc_message *m)
{
	enum link_peer peer;
	int err;

	if ((err = ipc_get_link(&m->body, &peer)) == ERR_OK && peer != LINK_SPOOL)
		err = ERR_DENIED;
	if (err == ERR_OK) {
		err = link_open(a, m->fds[0]);
		m->fds[0] = -1;
	}
	return err;
}

static int
take_conf(struct auth *a, struct ipc_message *m)
{
	struct auth_conf *c = malloc(sizeof(*c));
	struct conf_error error;
	int err;

	if (c == NULL)
		return ERR_NOMEM;
	if ((err = ipc_get_empty(&m->body)) != ERR_OK || (err = conf_load_fd(&c->conf, m->fds[0], &error)) != ERR_OK) {
		free(c);
		return err;
	}
	c->users = 1;
	auth_conf_release(a->conf);
	a->conf = c;
	log_configure((enum log_level)c->conf.log_level, (enum log_format)c->conf.log_format);
	log_event(LOG_LEVEL_INFO, 0, "reload.done", NULL);
	return ERR_OK;
}

static int
dispatch(struct auth *a, struct ipc_message *m)
{
	switch (m->kind) {
	case IPC_SESSION:
		return begin_session(a, m);
	case IPC_LINK:
		return take_link(a, m);
	case IPC_RELOAD:
		return take_conf(a, m);
	default:
		return ERR_DENIED;
	}
}

void
control_drain(struct auth *a)
{
	uint8_t data[512];
	struct ipc_message m;
	int err;

	while (a->control.fd >= 0) {
		if ((err = ipc_recv(a->control.fd, IPC_AUTH_FROM_MASTER, data, sizeof(data), false, &m)) == ERR_BUSY)
			return;
		if (err == ERR_CLOSED || err == ERR_SYSTEM) {
			loop_remove(&a->loop, &a->control);
			io_close(&a->control.fd);
			a->stopping = true;
			return;
		}
		if (err == ERR_OK) {
			err = dispatch(a, &m);
			ipc_message_close(&m);
		}
		/* Most likely out of descriptors or memory: that session ends, since its socket was closed. */
		if (err != ERR_OK)
			log_event(LOG_LEVEL_ERROR, 0, "message.bad", "peer", "posternd", "kind", ipc_kind_name(m.kind), "error",
			    err_text(err), NULL);
	}
}

void
control_tell_account(struct auth *a, const struct session *s)
{
	struct ipc_session_account m = { .session = s->number };
	uint8_t data[IPC_TEXT_MAX + 16];
	struct wire_out w;

	memcpy(m.name, s->name, strlen(s->name));
	wire_out_init(&w, data, sizeof(data));
	ipc_put_session_account(&w, &m);
	ipc_send(a->control.fd, &w, NULL, 0, false);
}

static void
handle(void *owner, uint32_t events)
{
	(void)events;
	control_drain(owner);
}

int
control_watch(struct auth *a, int fd)
{
	a->control = (struct loop_watch){ .fd = fd, .handle = handle, .owner = a };
	return loop_add(&a->loop, &a->control, EPOLLIN);
}
