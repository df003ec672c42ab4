/*
 * The loop of postern-spool: the master's socket, finished jobs, the clock, and the end. Invariant: it never waits for the disk,
 * and leaves no commit unfinished while the disk still works.
 */
#include "serve.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "active.h"
#include "conf.h"
#include "err.h"
#include "io.h"
#include "keys_link.h"
#include "link.h"
#include "log.h"
#include "message.h"
#include "relay_link.h"
#include "room.h"
#include "session.h"
#include "spooler.h"
#include "tally.h"

#define TICK_MS 1000
#define DRAIN_OPEN_MS 5000	/* for workers to finish their messages when the master has gone */
#define DRAIN_COMMIT_MS 60000	/* for a slow disk */
#define DRAIN_DELIVERY_MS 15000	/* for the results of deliveries under way */

void
serve_check_room(struct spooler *sp)
{
	struct statvfs v;
	bool is_low;

	if (fstatvfs(sp->dirs.root_fd, &v) != 0) {
		log_error("spool.statvfs_failed", "error", strerror(errno), NULL);
		return;
	}
	is_low = room_is_low(&v, sp->service.conf.spool_min_free);
	if (is_low == sp->is_low)
		return;
	sp->is_low = is_low;
	log_event(is_low ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, 0, is_low ? "spool.low" : "spool.ok", "hint", is_low ?
	    "too little space or too few inodes are left: mail is refused (452) until there is more" : NULL, NULL);
	link_tell_storage(sp);
}

/* Told once when checkpoints begin to fail, and once when they work again. */
static void
check_journal(struct spooler *sp)
{
	int error = sp->dirs.journal != NULL ? journal_error(sp->dirs.journal) : 0;

	if (error == sp->journal_error)
		return;
	sp->journal_error = error;
	if (error != 0)
		log_error("spool.checkpoint_failed", "error", strerror(error), "hint",
		    "the disk refuses what is written: mail is synced message by message meanwhile, and the journal keeps what it has", NULL);
	else
		log_info("spool.checkpoint_ok", NULL);
}

static void
reload(struct spooler *sp, int fd)
{
	static struct conf new, old;
	struct conf_error error;

	if (conf_load_fd(&new, fd, &error) != ERR_OK) {
		log_error("reload.failed", "reason", error.text, NULL);
		return;
	}
	/* The spool's place, the journal and the number of threads stay as they are until the service starts again. */
	old = sp->service.conf;
	sp->service.conf = new;
	queue_reload(sp, &old);
	log_configure((enum log_level)new.log_level, (enum log_format)new.log_format);
	serve_check_room(sp);
	log_info("reload", "hostname", new.hostname, NULL);
}

/* The socket to another service; who does not take it up leaves it to be closed. */
static int
take_link(struct spooler *sp, struct ipc_message *m)
{
	enum link_peer peer;
	int err = ipc_get_link(&m->body, &peer);

	if (err != ERR_OK)
		return err;
	switch (peer) {
	case LINK_AUTH:
		link_replace(sp, m->fds[0]);
		m->fds[0] = -1;
		return ERR_OK;
	case LINK_RELAY:
		relay_link_replace(sp, m->fds[0]);
		m->fds[0] = -1;
		return ERR_OK;
	case LINK_KEYS:
		keys_link_replace(sp, m->fds[0]);
		m->fds[0] = -1;
		return ERR_OK;
	default:
		return ERR_DENIED;
	}
}

static void
handle_control(void *owner, uint32_t events)
{
	struct spooler *sp = owner;
	struct ipc_message m;
	int err;

	(void)events;
	err = ipc_recv(sp->control_watch.fd, IPC_SPOOL_FROM_MASTER, sp->small, sizeof(sp->small), false, &m);
	if (err == ERR_BUSY)
		return;
	if (err == ERR_CLOSED || err == ERR_SYSTEM) {
		loop_remove(&sp->loop, &sp->control_watch);
		io_close(&sp->control_watch.fd);
		sp->draining = true;
		sp->draining_since_ms = io_now_ms();
		return;
	}
	if (err == ERR_OK) {
		err = m.kind == IPC_LINK ? take_link(sp, &m) : ipc_get_empty(&m.body);
		if (err == ERR_OK && m.kind == IPC_RELOAD)
			reload(sp, m.fds[0]);
		ipc_message_close(&m);
	}
	if (err != ERR_OK)
		log_event(LOG_LEVEL_ALARM, 0, "master.bad_frame", "what", err_text(err), NULL);
}

static void
finish_call(struct job *j)
{
	j->kind = JOB_NONE;
	j->finish(j->owner);
}

static void
handle_pool(void *owner, uint32_t events)
{
	struct spooler *sp = owner;
	bool failed = false;
	struct job *next;

	(void)events;
	for (struct job *j = pool_take(&sp->pool); j != NULL; j = next) {
		next = j->next;
		failed |= j->err == ERR_FULL || (j->err != ERR_OK && j->kind != JOB_TRACE && j->kind != JOB_CALL);
		if (j->kind == JOB_CONTROL)
			control_finish(j->owner);
		else if (j->kind == JOB_TRACE)
			trace_finish(j->owner);
		else if (j->kind == JOB_CALL)
			finish_call(j);
		else
			message_finish_job(j->owner);
	}
	if (failed)
		serve_check_room(sp);
}

int
serve_prepare(struct spooler *sp)
{
	sp->control_watch = (struct loop_watch){ .fd = SERVICE_CONTROL_FD, .handle = handle_control, .owner = sp };
	sp->pool_watch = (struct loop_watch){ .fd = sp->pool.event_fd, .handle = handle_pool, .owner = sp };
	sp->link_watch = (struct loop_watch){ .fd = -1 };
	sp->relay.watch = (struct loop_watch){ .fd = -1 };
	/* Behind those of any process before. */
	sp->next_number = io_now_us() << 8;
	keys_link_init(sp);
	if (loop_add(&sp->loop, &sp->control_watch, EPOLLIN) != ERR_OK ||
	    loop_add(&sp->loop, &sp->pool_watch, EPOLLIN) != ERR_OK || control_start(sp) != ERR_OK)
		return ERR_SYSTEM;
	return ERR_OK;
}

static void
tick(struct spooler *sp, uint64_t now)
{
	struct message *next;

	serve_check_room(sp);
	check_journal(sp);
	tally_tell(sp->control_watch.fd, now, 0);
	outcome_expire(&sp->outcomes, now);
	control_tick(sp);
	keys_link_tick(sp, now);
	trace_tick(sp);
	active_tick(sp, now);
	destination_sweep(&sp->queue.destinations, now);
	for (struct message *m = sp->messages; m != NULL; m = next) {
		next = m->next;
		message_tick(m, now);
	}
}

/* Whether the process may end: nothing is under way, or has had its time. */
static bool
is_drained(struct spooler *sp, uint64_t now)
{
	uint64_t since = now - sp->draining_since_ms;
	struct message *next;
	bool is_quiet;

	if (!sp->draining)
		return false;
	is_quiet = control_stop(sp);
	for (struct message *m = sp->messages; m != NULL && since > DRAIN_OPEN_MS; m = next) {
		next = m->next;
		if (!m->is_committed && m->session != NULL)
			session_drop(m->session);
	}
	if (queue_is_quiet(sp) || since > DRAIN_DELIVERY_MS)
		is_quiet &= sp->leaving.job.kind == JOB_NONE;
	else
		is_quiet = false;
	return (sp->messages == NULL && is_quiet && trace_is_idle(sp)) || since > DRAIN_COMMIT_MS;
}

void
serve_run(struct spooler *sp)
{
	uint64_t next_tick = io_now_ms() + TICK_MS, now = io_now_ms();

	while (!is_drained(sp, now)) {
		int wait = queue_run(sp, now, now < next_tick ? (int)(next_tick - now) : 0);

		if (loop_run_once(&sp->loop, trace_wait_ms(sp, now, wait)) != ERR_OK)
			log_error("loop.failed", "error", strerror(errno), NULL);
		session_bury(sp);
		now = io_now_ms();
		if (now >= next_tick) {
			next_tick = now + TICK_MS;
			tick(sp, now);
			session_bury(sp);
		}
		trace_flush(sp);
	}
}
