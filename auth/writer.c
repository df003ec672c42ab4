/*
 * What postern-auth writes into the registry: when a credential was used, and better hashes. A thread with a connection of its
 * own, since a write waits for the disk and for other writers, and the loop must not. Invariant: nobody waits for it, and
 * nothing depends on what it writes.
 */
#include "writer.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"

#define NOTES_MAX 256
#define LOG_EVERY_MS 60000

struct note {
	STAILQ_ENTRY(note)		entry;
	struct registry_credential	credential;	/* for a hash as it was read; else only its number */
	char				hash[REGISTRY_HASH_MAX];	/* "": it was used */
};

STAILQ_HEAD(notes, note);

struct writer {
	pthread_mutex_t	 mutex;
	pthread_cond_t	 arrived, is_running;
	bool		 running;	/* the thread has begun */
	struct notes	 waiting;
	size_t		 n;		/* those being written, too */
	struct registry	*registry;
	uint64_t	 logged_ms;
};

static int
write_one(struct registry *r, const struct note *note)
{
	const struct registry_credential *c = &note->credential;
	int err;

	if (note->hash[0] == 0)
		return registry_note_use(r, c->id, c->used_us, c->used_network);
	/* Changed by somebody in between: then it is not to be written. */
	err = registry_rehash_credential(r, c, note->hash);
	if (err == ERR_OK)
		log_info("credential.rehashed", "credential", c->name, NULL);
	return err == ERR_NOTFOUND ? ERR_OK : err;
}

static void
write_all(struct writer *w, const struct notes *notes)
{
	const struct note *note;
	int err;

	if ((err = registry_begin(w->registry)) == ERR_OK) {
		STAILQ_FOREACH(note, notes, entry)
			if (err == ERR_OK)
				err = write_one(w->registry, note);
		if (err == ERR_OK)
			err = registry_commit(w->registry);
		else
			registry_rollback(w->registry);
	}
	if (err != ERR_OK && (w->logged_ms == 0 || io_now_ms() - w->logged_ms >= LOG_EVERY_MS)) {
		w->logged_ms = io_now_ms();
		log_event(LOG_LEVEL_WARNING, 0, "registry.not_written", "error", err_text(err), "reason",
		    registry_reason(w->registry), NULL);
	}
}

static void *
run(void *arg)
{
	struct writer *w = arg;

	pthread_mutex_lock(&w->mutex);
	w->running = true;
	pthread_cond_signal(&w->is_running);
	pthread_mutex_unlock(&w->mutex);
	for (;;) {
		struct notes notes = STAILQ_HEAD_INITIALIZER(notes);
		struct note *note;
		size_t n = 0;

		pthread_mutex_lock(&w->mutex);
		while (STAILQ_EMPTY(&w->waiting))
			pthread_cond_wait(&w->arrived, &w->mutex);
		STAILQ_CONCAT(&notes, &w->waiting);
		pthread_mutex_unlock(&w->mutex);
		write_all(w, &notes);
		while ((note = STAILQ_FIRST(&notes)) != NULL) {
			STAILQ_REMOVE_HEAD(&notes, entry);
			free(note);
			n++;
		}
		pthread_mutex_lock(&w->mutex);
		w->n -= n;
		pthread_mutex_unlock(&w->mutex);
	}
	return NULL;
}

int
writer_open(struct writer **writer, struct registry *r)
{
	struct writer *w = calloc(1, sizeof(*w));
	pthread_t thread;
	int error = ENOMEM;

	if (w == NULL)
		return ERR_NOMEM;
	w->registry = r;
	STAILQ_INIT(&w->waiting);
	/* A second heap would need mprotect(2), which the sandbox does not have. */
	mallopt(M_ARENA_MAX, 1);
	if (pthread_mutex_init(&w->mutex, NULL) != 0 || pthread_cond_init(&w->arrived, NULL) != 0 ||
	    pthread_cond_init(&w->is_running, NULL) != 0 ||
	    (error = pthread_create(&thread, NULL, run, w)) != 0) {
		free(w);
		errno = error;
		return ERR_SYSTEM;
	}
	pthread_detach(thread);
	/* What the C library does as a thread begins (rseq) is not permitted once the filter is on, and fatal when it fails. */
	pthread_mutex_lock(&w->mutex);
	while (!w->running)
		pthread_cond_wait(&w->is_running, &w->mutex);
	pthread_mutex_unlock(&w->mutex);
	*writer = w;
	return ERR_OK;
}

static void
put(struct writer *w, const struct registry_credential *c, const char *hash)
{
	struct note *note = NULL;

	pthread_mutex_lock(&w->mutex);
	if (w->n < NOTES_MAX && (note = calloc(1, sizeof(*note))) != NULL) {
		note->credential = *c;
		snprintf(note->hash, sizeof(note->hash), "%s", hash);
		STAILQ_INSERT_TAIL(&w->waiting, note, entry);
		w->n++;
		pthread_cond_signal(&w->arrived);
	}
	pthread_mutex_unlock(&w->mutex);
}

void
writer_note_use(struct writer *w, uint64_t credential, uint64_t time_us, const char *network)
{
	struct registry_credential c = { .id = credential, .used_us = time_us };

	snprintf(c.used_network, sizeof(c.used_network), "%s", network);
	put(w, &c, "");
}

void
writer_rehash(struct writer *w, const struct registry_credential *c, const char *hash)
{
	put(w, c, hash);
}

void
writer_drain(struct writer *w, unsigned ms)
{
	bool busy = true;

	for (unsigned i = 0; busy && i < ms / 10; i++) {
		pthread_mutex_lock(&w->mutex);
		busy = w->n != 0;
		pthread_mutex_unlock(&w->mutex);
		if (busy)
			usleep(10000);
	}
}
