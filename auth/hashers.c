/*
 * The pool of hashing children, seen from postern-auth: starting them, giving each one job at a time
 * in a fair order, and their answers. Invariant: a child that dies takes one job with it, which is
 * then answered as unavailable, not tried on the next child.
 */
#include "hashers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "ipc.h"
#include "log.h"
#include "mem.h"
#include "registry.h"
#include "sandbox.h"
#include "str.h"

static int
start_one(struct hashers *h, struct hasher *one, const struct sandbox *sandbox)
{
	int fds[2];

	if (ipc_pair(fds) != ERR_OK)
		return ERR_SYSTEM;
	if ((one->pid = fork()) < 0) {
		io_close(&fds[0]);
		io_close(&fds[1]);
		return ERR_SYSTEM;
	}
	if (one->pid == 0)
		hasher_run(fds[1], sandbox);
	io_close(&fds[1]);
	one->watch.fd = fds[0];
	one->pool = h;
	h->alive++;
	return ERR_OK;
}

int
hashers_start(struct hashers *h, size_t n, const struct sandbox *sandbox, uint32_t *parts)
{
	uint8_t data[HASHERS_ANSWER_MAX];
	struct ipc_hash_answer ready;
	struct ipc_message m;
	int err = ERR_OK;

	*h = (struct hashers){ .n = n, .hashers = calloc(n, sizeof(*h->hashers)) };
	if (h->hashers == NULL)
		return ERR_NOMEM;
	queue_init(&h->queue);
	for (size_t i = 0; i < n && err == ERR_OK; i++)
		err = start_one(h, &h->hashers[i], sandbox);
	*parts = ~0U;
	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		if (ipc_recv(h->hashers[i].watch.fd, IPC_AUTH_FROM_HASHER, data, sizeof(data), true, &m) != ERR_OK ||
		    ipc_get_hash_answer(&m.body, &ready) != ERR_OK)
			err = ERR_DENIED;
		else
			*parts &= ready.job;
	}
	return err;
}

/* The next job that a child must compute. Many sessions of one user may wait for the same password: one child's work is enough. */
static struct hash_job *
next_job(struct hashers *h)
{
	struct queue_job *waiting;

	while ((waiting = queue_take(&h->queue)) != NULL) {
		struct hash_job *job = (struct hash_job *)((char *)waiting - offsetof(struct hash_job, waiting));

		if (job->settle == NULL || !job->settle(job))
			return job;
	}
	return NULL;
}

/* Gives waiting jobs to idle children. */
static void
dispatch(struct hashers *h)
{
	static uint8_t data[IPC_SMALL_MAX];

	for (size_t i = 0; i < h->n; i++) {
		struct hasher *one = &h->hashers[i];
		struct ipc_hash question = { .job = ++h->next_number };
		struct wire_out w;

		if (one->watch.fd < 0 || one->busy)
			continue;
		if ((one->job = next_job(h)) == NULL)
			return;
		one->job->hasher = one;
		one->busy = true;
		one->number = question.job;
		str_fmt(question.hash, sizeof(question.hash), "%s", one->job->hash);
		question.password = (const uint8_t *)one->job->password;
		question.password_len = one->job->password_len;
		wire_out_init(&w, data, sizeof(data));
		ipc_put_hash(&w, &question);
		/* A child with nothing to do has room for one question. If it is gone, its socket's end says so next. */
		ipc_send(one->watch.fd, &w, NULL, 0, false);
		mem_wipe(data, w.len);
	}
}

static void
finish(struct hasher *one, int result)
{
	struct hash_job *job = one->job;

	one->job = NULL;
	one->busy = false;
	if (job != NULL) {
		job->hasher = NULL;
		job->done(job, result);
	}
}

/* Its socket has ended, or it said nonsense: it gets no more work. Its end as a process follows. */
static void
bury(struct hasher *one)
{
	char pid[21];

	loop_remove(one->pool->loop, &one->watch);
	io_close(&one->watch.fd);
	one->pool->alive--;
	one->pool->unreaped++;
	log_event(LOG_LEVEL_ALARM, 0, "hasher.lost", "pid", str_put_u64(pid, (uint64_t)one->pid), NULL);
	finish(one, ERR_CLOSED);
}

void
hashers_reap(struct hashers *h)
{
	char text[21], signal_text[21];
	int status;
	pid_t pid;

	while (h->unreaped != 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		h->unreaped--;
		log_event(LOG_LEVEL_ALARM, 0, "hasher.died", "pid", str_put_u64(text, (uint64_t)pid), "signal",
		    WIFSIGNALED(status) ? str_put_u64(signal_text, (uint64_t)WTERMSIG(status)) : NULL, NULL);
	}
}

static int
result_of(enum hash_verdict verdict)
{
	if (verdict == HASH_NO_MEMORY || verdict == HASH_UNKNOWN)
		return verdict == HASH_NO_MEMORY ? ERR_NOMEM : ERR_SYNTAX;
	return verdict == HASH_MATCHES;
}

static void
handle(void *owner, uint32_t events)
{
	struct hasher *one = owner;
	struct ipc_hash_answer answer;
	struct ipc_message m;
	uint8_t data[HASHERS_ANSWER_MAX];
	int err;

	(void)events;
	err = ipc_recv(one->watch.fd, IPC_AUTH_FROM_HASHER, data, sizeof(data), false, &m);
	if (err == ERR_BUSY)
		return;
	if (err == ERR_OK && ipc_get_hash_answer(&m.body, &answer) == ERR_OK && one->busy && answer.job == one->number) {
		if (one->job != NULL && one->job->made != NULL)
			str_fmt(one->job->made, REGISTRY_HASH_MAX, "%s", answer.hash);
		finish(one, result_of(answer.verdict));
	} else {
		bury(one);
	}
	dispatch(one->pool);
}

int
hashers_watch(struct hashers *h, struct loop *loop)
{
	h->loop = loop;
	for (size_t i = 0; i < h->n; i++) {
		h->hashers[i].watch.handle = handle;
		h->hashers[i].watch.owner = &h->hashers[i];
		if (loop_add(loop, &h->hashers[i].watch, EPOLLIN) != ERR_OK)
			return ERR_SYSTEM;
	}
	return ERR_OK;
}

int
hashers_submit(struct hashers *h, struct hash_job *job, bool again)
{
	int err = queue_put(&h->queue, &job->waiting, again);

	if (err == ERR_OK)
		dispatch(h);
	return err;
}

void
hashers_cancel(struct hashers *h, struct hash_job *job)
{
	queue_remove(&h->queue, &job->waiting);
	if (job->hasher != NULL)
		job->hasher->job = NULL;
	job->hasher = NULL;
}
