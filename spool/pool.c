/*
 * The commit threads of postern-spool and their queues. Commits that the journal takes are done many at once, by one thread at a
 * time: what comes while it syncs the journal is its next round. Invariant: a job is in one queue or in one thread, and its owner is
 * touched by nobody else meanwhile.
 */
#include "pool.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "buf.h"
#include "control.h"
#include "err.h"
#include "journal.h"
#include "trace.h"
#include "transaction.h"

static void
perform(struct job *j)
{
	switch (j->kind) {
	case JOB_WRITE:
		j->err = transaction_write(j->transaction, j->data);
		break;
	case JOB_COMMIT:
		j->err = transaction_commit(j->transaction, j->data);
		break;
	case JOB_DISCARD:
		transaction_discard(j->transaction);
		j->err = ERR_OK;
		break;
	case JOB_CONTROL:
		control_perform(j->owner);
		j->err = ERR_OK;
		break;
	case JOB_TRACE:
		trace_perform(j->owner);
		break;
	case JOB_CALL:
		j->err = j->perform(j->owner);
		break;
	case JOB_NONE:
		break;
	}
}

/* With the mutex held. */
static void
add(struct job **first, struct job **last, struct job *j)
{
	j->next = NULL;
	if (*first == NULL)
		*first = j;
	else
		(*last)->next = j;
	*last = j;
}

/* With the mutex held. */
static void
end(struct pool *p, struct job *j)
{
	j->next = p->done;
	p->done = j;
	if (j->next == NULL) {
		const uint64_t one = 1;
		ssize_t n = write(p->event_fd, &one, sizeof(one));

		(void)n;
	}
}

/* With the mutex held, but not meanwhile: the commits that wait, as many as go together. */
static void
commit_some(struct pool *p)
{
	struct transaction_commit list[JOURNAL_ROUND];
	struct job *jobs[JOURNAL_ROUND];
	size_t n = 0, octets = 0;

	while (p->commits != NULL && n < JOURNAL_ROUND && octets + p->commits->data->len <= JOURNAL_ROUND_OCTETS) {
		struct job *j = p->commits;

		p->commits = j->next;
		octets += j->data->len;
		list[n] = (struct transaction_commit){ .t = j->transaction, .b = j->data };
		jobs[n++] = j;
	}
	p->is_committing = true;
	pthread_mutex_unlock(&p->mutex);
	transaction_commit_many(list, n);
	pthread_mutex_lock(&p->mutex);
	p->is_committing = false;
	for (size_t i = 0; i < n; i++) {
		jobs[i]->err = list[i].err;
		if (list[i].err != ERR_BUSY) {
			end(p, jobs[i]);
			continue;
		}
		add(&p->first, &p->last, jobs[i]);
		pthread_cond_signal(&p->has_work);
	}
}

static void *
work(void *arg)
{
	struct pool *p = arg;
	bool has_committed = false;

	pthread_mutex_lock(&p->mutex);
	p->running++;
	pthread_cond_signal(&p->is_running);
	for (;;) {
		struct job *j = p->first;

		/* In turns, should this be the only thread. */
		if (p->commits != NULL && !p->is_committing && (j == NULL || !has_committed)) {
			commit_some(p);
			has_committed = true;
		} else if (j != NULL) {
			has_committed = false;
			p->first = j->next;
			pthread_mutex_unlock(&p->mutex);
			perform(j);
			pthread_mutex_lock(&p->mutex);
			end(p, j);
		} else {
			pthread_cond_wait(&p->has_work, &p->mutex);
		}
	}
	return NULL;
}

int
pool_start(struct pool *p, size_t threads)
{
	*p = (struct pool){ .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (p->event_fd < 0 || pthread_mutex_init(&p->mutex, NULL) != 0 || pthread_cond_init(&p->has_work, NULL) != 0 ||
	    pthread_cond_init(&p->is_running, NULL) != 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < threads; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, NULL, work, p);

		if (error != 0) {
			errno = error;
			return ERR_SYSTEM;
		}
		pthread_detach(thread);
	}
	/* What the C library does as a thread begins (rseq, set_robust_list) is not permitted once the filter is on. */
	pthread_mutex_lock(&p->mutex);
	while (p->running < threads)
		pthread_cond_wait(&p->is_running, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
	return ERR_OK;
}

void
pool_submit(struct pool *p, struct job *j, enum job_kind kind)
{
	bool is_wanted = true;

	j->kind = kind;
	pthread_mutex_lock(&p->mutex);
	if (kind == JOB_COMMIT && transaction_fits_journal(j->transaction, j->data)) {
		add(&p->commits, &p->last_commit, j);
		/* Else who commits takes it when he is done with what he has. */
		is_wanted = !p->is_committing;
	} else {
		add(&p->first, &p->last, j);
	}
	pthread_mutex_unlock(&p->mutex);
	if (is_wanted)
		pthread_cond_signal(&p->has_work);
}

struct job *
pool_take(struct pool *p)
{
	struct job *done, *list = NULL, *next;
	uint64_t count;
	ssize_t n;

	pthread_mutex_lock(&p->mutex);
	/* Under the mutex, so that no signal of a job that stays behind is lost. */
	n = read(p->event_fd, &count, sizeof(count));
	(void)n;
	done = p->done;
	p->done = NULL;
	pthread_mutex_unlock(&p->mutex);
	for (; done != NULL; done = next) {
		next = done->next;
		done->next = list;
		list = done;
	}
	return list;
}
