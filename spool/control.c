/*
 * The socket by which smtpadm changes the queue of a running daemon. Run by postern-spool's loop; the changes themselves by its
 * commit threads. Only root and the spool's owner are heard, who could do the same with the daemon stopped. Invariant: a bad
 * frame ends its sender and nothing else; nobody is told of a change before it is on stable storage.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "change_batch.h"
#include "err.h"
#include "io.h"
#include "link.h"
#include "log.h"
#include "message_queue.h"
#include "pool.h"
#include "queue.h"
#include "spooler.h"
#include "str.h"

#define CLIENTS_MAX 16

/* An admin's connection. */
struct control_client {
	struct control_client	*next;
	struct spooler		*sp;
	struct loop_watch	 watch;		/* fd -1: it has gone */
	uid_t			 uid;
	bool			 is_working;	/* a thread has the list; the socket is not read meanwhile */
	struct job		 job;
	struct change_batch	 batch;		/* questions that are to be answered, in order */
};

/* In a folder whose path may be longer than a socket's address: through the folder's descriptor. */
static int
bind_in(int fd, int folder, uid_t uid, gid_t gid)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	if (str_fmt(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s", folder, IPC_QUEUE_FILE) != ERR_OK)
		return ERR_TOOBIG;
	if (unlinkat(folder, IPC_QUEUE_FILE, 0) != 0 && errno != ENOENT)
		return ERR_SYSTEM;
	mask = umask(0177);
	err = bind(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? ERR_OK : ERR_SYSTEM;
	umask(mask);
	if (err == ERR_OK && geteuid() == 0 && fchownat(folder, IPC_QUEUE_FILE, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
		err = ERR_SYSTEM;
	if (err == ERR_OK && listen(fd, CLIENTS_MAX) != 0)
		err = ERR_SYSTEM;
	return err;
}

int
control_open(struct spooler *sp)
{
	const struct service *s = &sp->service;
	int folder = open(s->in.run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err;

	sp->control.watch.fd = -1;
	if (folder < 0)
		return ERR_SYSTEM;
	sp->control.watch.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = sp->control.watch.fd >= 0 ? bind_in(sp->control.watch.fd, folder, s->ids.spool_uid, s->ids.spool_gid) : ERR_SYSTEM;
	if (err != ERR_OK)
		io_close(&sp->control.watch.fd);
	io_close(&folder);
	return err;
}

/* Forgets a client that has gone and has no change under way. */
static void
bury(struct control_client *c)
{
	struct control_client **at = &c->sp->control.clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->sp->control.nclients--;
	free(c);
}

static void
hang_up(struct control_client *c)
{
	if (c->watch.fd >= 0 && !c->is_working)
		loop_remove(&c->sp->loop, &c->watch);
	io_close(&c->watch.fd);
	if (!c->is_working)
		bury(c);
}

static void
drop_bad(struct control_client *c, const char *what)
{
	char uid[21];

	log_event(LOG_LEVEL_ALARM, 0, "admin.bad_frame", "what", what, "uid", str_put_u64(uid, c->uid), NULL);
	hang_up(c);
}

static void
answer_all(struct control_client *c)
{
	for (size_t i = 0; i < c->batch.n && c->watch.fd >= 0; i++) {
		const struct change_question *q = &c->batch.questions[i];
		struct ipc_queue_answer a = { .n = (uint16_t)q->n };
		uint8_t data[IPC_QUEUE_FILES + 16];
		struct wire_out w;

		for (size_t k = 0; k < q->n; k++)
			a.verdicts[k] = c->batch.items[q->first + k].verdict;
		wire_out_init(&w, data, sizeof(data));
		ipc_put_queue_answer(&w, &a);
		/* The room for so many answers is there, unless it reads none. */
		if (ipc_send(c->watch.fd, &w, NULL, 0, false) != ERR_OK)
			io_close(&c->watch.fd);
	}
	c->batch.n = c->batch.nitems = c->batch.nlist = 0;
}

bool
control_is_changing(const struct control *control, const char *id)
{
	for (const struct control_client *c = control->clients; c != NULL; c = c->next)
		if (c->is_working && change_batch_has(&c->batch, id))
			return true;
	return false;
}

void
control_perform(struct control_client *c)
{
	change_batch_perform(&c->batch, &c->sp->dirs);
}

void
control_finish(struct control_client *c)
{
	struct spooler *sp = c->sp;

	c->is_working = false;
	c->job.kind = JOB_NONE;
	change_batch_finish(&c->batch, sp, c->uid);
	answer_all(c);
	link_tell_usage(sp);
	if (c->watch.fd >= 0 && loop_add(&sp->loop, &c->watch, EPOLLIN) == ERR_OK)
		return;
	io_close(&c->watch.fd);
	bury(c);
}

/* How all deliveries are, after what the admin wants of them. */
static int
answer_delivery(struct control_client *c, struct wire_in *body)
{
	static struct ipc_delivery_order o;
	static struct ipc_delivery_state state;
	struct control *control = &c->sp->control;
	uint8_t data[IPC_TEXT_MAX + 64];
	struct wire_out w;
	char uid[21];
	int err = ipc_get_delivery_order(body, &o);

	if (err != ERR_OK)
		return err;
	if (o.order == DELIVERY_PAUSE && !control->is_paused)
		control->paused_since_ms = io_now_ms();
	if (o.order != DELIVERY_TELL) {
		control->is_paused = o.order == DELIVERY_PAUSE;
		memcpy(control->pause_reason, o.reason, sizeof(control->pause_reason));
		queue_pause(c->sp, control->is_paused);
		log_info(control->is_paused ? "delivery.paused" : "delivery.resumed", "by", str_put_u64(uid, c->uid), "reason",
		    o.reason[0] != 0 ? o.reason : NULL, NULL);
	}
	state = (struct ipc_delivery_state){ .is_paused = control->is_paused, .scheduled = c->sp->queue.nentries,
	    .underway = c->sp->queue.schedule.in_flight };
	if (state.is_paused) {
		memcpy(state.reason, control->pause_reason, sizeof(state.reason));
		state.paused_ms = io_now_ms() - control->paused_since_ms;
	}
	wire_out_init(&w, data, sizeof(data));
	ipc_put_delivery_state(&w, &state);
	return ipc_send(c->watch.fd, &w, NULL, 0, false) == ERR_OK ? ERR_OK : ERR_CLOSED;
}

/* One question more. One about all deliveries is answered at once: its answers would not come in the order of the others. */
static int
take(struct control_client *c, struct ipc_message *m)
{
	static struct ipc_queue_change q;
	int err;

	if (m->kind == IPC_DELIVERY)
		return c->batch.n == 0 ? answer_delivery(c, &m->body) : ERR_DENIED;
	if ((err = ipc_get_queue_change(&m->body, &q)) == ERR_OK)
		change_batch_take(&c->batch, c->sp, &q, c->uid);
	return err;
}

static void
handle_client(void *owner, uint32_t events)
{
	struct control_client *c = owner;
	struct ipc_message m;
	int err = ERR_OK;
	bool is_bad;

	(void)events;
	while (c->batch.n < IPC_QUEUE_AHEAD && err == ERR_OK) {
		err = ipc_recv(c->watch.fd, IPC_SPOOL_FROM_ADMIN, c->sp->small, sizeof(c->sp->small), false, &m);
		if (err == ERR_OK)
			err = take(c, &m);
	}
	is_bad = err != ERR_OK && err != ERR_BUSY && err != ERR_CLOSED;
	if (err == ERR_CLOSED && c->batch.n == 0) {
		hang_up(c);
	} else if (is_bad && c->batch.nlist == 0) {
		drop_bad(c, err_text(err));
	} else if (c->batch.nlist == 0) {
		answer_all(c);
		if (c->watch.fd < 0)
			bury(c);
	} else {
		/* Also when it has gone meanwhile: it did ask. */
		loop_remove(&c->sp->loop, &c->watch);
		c->is_working = true;
		c->job = (struct job){ .owner = c };
		pool_submit(&c->sp->pool, &c->job, JOB_CONTROL);
		/* What it asked before was taken out of the schedule, and comes back by this. */
		if (is_bad)
			drop_bad(c, err_text(err));
	}
}

/* Who may change the queue: ERR_DENIED for others. */
static int
check_peer(const struct spooler *sp, int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return ERR_SYSTEM;
	*uid = peer.uid;
	return peer.uid == 0 || peer.uid == sp->service.ids.spool_uid ? ERR_OK : ERR_DENIED;
}

/* Room for one more: the oldest that has no change under way goes, and may come again. False: all are at work. */
static bool
make_room(struct spooler *sp)
{
	struct control_client *oldest = NULL;

	if (sp->control.nclients < CLIENTS_MAX)
		return true;
	for (struct control_client *c = sp->control.clients; c != NULL; c = c->next)
		if (!c->is_working)
			oldest = c;
	if (oldest != NULL)
		hang_up(oldest);
	return oldest != NULL;
}

static void
begin(struct spooler *sp, int fd)
{
	struct control_client *c;
	uid_t uid = 0;
	char text[21];

	if (check_peer(sp, fd, &uid) != ERR_OK) {
		log_event(LOG_LEVEL_WARNING, 0, "admin.refused", "uid", str_put_u64(text, uid), "reason",
		    "neither root nor the spool's owner", NULL);
		io_close(&fd);
		return;
	}
	if (!make_room(sp) || (c = calloc(1, sizeof(*c))) == NULL) {
		log_event(LOG_LEVEL_WARNING, 0, "admin.refused", "uid", str_put_u64(text, uid), "reason", "too many connections", NULL);
		io_close(&fd);
		return;
	}
	c->sp = sp;
	c->uid = uid;
	c->watch = (struct loop_watch){ .fd = fd, .handle = handle_client, .owner = c };
	if (loop_add(&sp->loop, &c->watch, EPOLLIN) != ERR_OK) {
		free(c);
		io_close(&fd);
		return;
	}
	c->next = sp->control.clients;
	sp->control.clients = c;
	sp->control.nclients++;
}

static void
handle_listener(void *owner, uint32_t events)
{
	struct spooler *sp = owner;
	int fd = accept4(sp->control.watch.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		begin(sp, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* It would be told again at once, and again. */
		log_error("admin.not_accepted", "error", strerror(errno), NULL);
		loop_remove(&sp->loop, &sp->control.watch);
		sp->control.is_resting = true;
	}
}

int
control_start(struct spooler *sp)
{
	sp->control.watch.handle = handle_listener;
	sp->control.watch.owner = sp;
	return loop_add(&sp->loop, &sp->control.watch, EPOLLIN);
}

void
control_tick(struct spooler *sp)
{
	if (sp->control.is_resting && loop_add(&sp->loop, &sp->control.watch, EPOLLIN) == ERR_OK)
		sp->control.is_resting = false;
}

bool
control_stop(struct spooler *sp)
{
	struct control_client *next;

	if (sp->control.watch.fd >= 0) {
		if (!sp->control.is_resting)
			loop_remove(&sp->loop, &sp->control.watch);
		sp->control.is_resting = false;
		io_close(&sp->control.watch.fd);
	}
	for (struct control_client *c = sp->control.clients; c != NULL; c = next) {
		next = c->next;
		if (!c->is_working)
			hang_up(c);
	}
	return sp->control.clients == NULL;
}
