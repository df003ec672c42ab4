/*
 * An admin's changes of the queue: held, released, tried again, given up, sent another way, removed. Part of libpostern-spool; run by
 * postern-spool's commit threads, or by smtpadm as the spool's owner with the lock held. Invariant: what is said to be done
 * outlives any crash; a crash in between leaves each message in one folder, with its state as it was or as it was meant.
 */
#include "change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "name.h"
#include "state.h"
#include "transaction.h"

#define STATE_MAX (32u << 20)
#define DAY_US 86400000000ULL
#define TRIED_AGAIN_US (5 * DAY_US)	/* how long one is tried that was released when its time was over, or nearly */

#define IN(f) (1U << (SPOOL_##f))
static const unsigned fit[] = {
	[QUEUE_REMOVE] = IN(NEW) | IN(CUR) | IN(HOLD) | IN(FAILED), [QUEUE_HOLD] = IN(NEW) | IN(CUR) | IN(HOLD),
	[QUEUE_RELEASE] = IN(HOLD) | IN(FAILED), [QUEUE_RETRY] = IN(NEW) | IN(CUR),
	[QUEUE_BOUNCE] = IN(NEW) | IN(CUR) | IN(HOLD), [QUEUE_REROUTE] = IN(NEW) | IN(CUR) | IN(HOLD),
};

/* A message while its change is prepared. */
struct work {
	struct spool_change	*c;
	struct spool_envelope	 envelope;
	struct state		 state;
	struct buf		 text;
};

bool
spool_change_fits(enum queue_change what, enum spool_folder f)
{
	return (fit[what] & 1U << f) != 0;
}

/* Opens it where it stands. */
static int
find(const struct spool_dirs *d, struct spool_change *c, int *fd)
{
	static const enum spool_folder searched[] = { SPOOL_NEW, SPOOL_CUR, SPOOL_HOLD, SPOOL_FAILED };
	struct name n;

	if (name_get(c->file, &n) != ERR_OK || strchr(c->file, '/') != NULL)
		return ERR_SYNTAX;
	memcpy(c->id, n.id, sizeof(c->id));
	for (size_t i = 0; i < sizeof(searched) / sizeof(searched[0]); i++) {
		c->from = c->to = searched[i];
		*fd = openat(d->fds[c->from], c->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (*fd >= 0)
			return ERR_OK;
		if (errno != ENOENT)
			return ERR_SYSTEM;
	}
	return ERR_NOTFOUND;
}

static int
set_text(char **to, const char *text)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	if (text != NULL && copy == NULL)
		return ERR_NOMEM;
	free(*to);
	*to = copy;
	return ERR_OK;
}

/* It is as one that has just come: nothing was tried, nothing was wished. */
static bool
is_fresh(const struct state *s)
{
	return s->tries == 0 && !state_is_precious(s);
}

/* One that was set aside is tried once more: whatever has failed waits again. */
static void
revive(struct state *s)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].status == RECIPIENT_BOUNCED || s->recipients[i].status == RECIPIENT_REPORTED)
			s->recipients[i].status = RECIPIENT_WAITING;
}

static int
release(struct work *w, uint64_t now_us)
{
	struct state *s = &w->state;

	if (w->c->from == SPOOL_FAILED)
		revive(s);
	s->next_us = 0;
	if (w->c->from == SPOOL_FAILED || w->envelope.arrival_us + DAY_US < now_us)
		s->expires_us = now_us + TRIED_AGAIN_US;
	return set_text(&s->hold, NULL);
}

static int
give_up(struct state *s, uint64_t now_us)
{
	int err = set_text(&s->hold, NULL);

	for (size_t i = 0; i < s->nrecipients && err == ERR_OK; i++) {
		struct state_recipient *r = &s->recipients[i];

		if (r->status != RECIPIENT_WAITING)
			continue;
		r->status = RECIPIENT_BOUNCED;
		r->stage = DELIVERY_ROUTE;
		r->code = 0;
		r->time_us = now_us;
		if ((err = set_text(&r->enhanced, "5.0.0")) == ERR_OK && (err = set_text(&r->reply, STATE_RETURNED_REPLY)) == ERR_OK &&
		    (err = set_text(&r->host, NULL)) == ERR_OK)
			err = set_text(&r->tls, NULL);
	}
	return err;
}

/* What the state shall be, and in which folder the message belongs then. */
static int
apply(struct work *w, enum queue_change what, const char *text, uint64_t now_us)
{
	struct spool_change *c = w->c;
	struct state *s = &w->state;
	int err = ERR_OK;

	switch (what) {
	case QUEUE_HOLD:
		err = set_text(&s->hold, text[0] != 0 ? text : "by an admin");
		c->to = SPOOL_HOLD;
		break;
	case QUEUE_RELEASE:
		err = release(w, now_us);
		c->to = is_fresh(s) ? SPOOL_NEW : SPOOL_CUR;
		break;
	case QUEUE_RETRY:
		s->next_us = 0;
		break;
	case QUEUE_BOUNCE:
		err = give_up(s, now_us);
		c->to = SPOOL_CUR;
		break;
	case QUEUE_REROUTE:
		err = set_text(&s->route, text[0] != 0 ? text : NULL);
		s->next_us = 0;
		if (c->from == SPOOL_NEW && !is_fresh(s))
			c->to = SPOOL_CUR;
		break;
	case QUEUE_REMOVE:
		break;
	}
	return err;
}

/* Reads a message and composes its next state. */
static int
prepare(const struct spool_dirs *d, enum queue_change what, const char *text, uint64_t now_us, struct work *w)
{
	struct spool_change *c = w->c;
	int fd = -1, err;

	if ((err = find(d, c, &fd)) != ERR_OK)
		return err;
	if (!spool_change_fits(what, c->from))
		err = ERR_DENIED;
	else if ((err = spool_read_envelope(fd, &w->envelope)) == ERR_OK && c->from == SPOOL_FAILED)
		err = spool_verify(fd);
	io_close(&fd);
	if (err != ERR_OK)
		return err;
	c->octets = w->envelope.message_size;
	if ((c->account = strdup(w->envelope.account)) == NULL)
		return ERR_NOMEM;
	if ((err = state_read(d, c->id, w->envelope.nrecipients, &w->state)) != ERR_OK ||
	    (err = apply(w, what, text, now_us)) != ERR_OK)
		return err;
	return state_put(&w->state, &w->text);
}

/*
 * Where a state of its own says nothing, there is none: the one that is left goes when the message is where it belongs. Between the two
 * it says that a message of new/ is held, which nobody asks it there.
 */
static bool
needs_state(const struct work *w)
{
	return w->c->err == ERR_OK && !(is_fresh(&w->state) && w->c->to == SPOOL_NEW);
}

static void
write_states(const struct spool_dirs *d, struct work *works, size_t n)
{
	struct transaction_state *list = calloc(n, sizeof(*list));
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (list == NULL)
			works[i].c->err = ERR_NOMEM;
		if (!needs_state(&works[i]))
			continue;
		list[used] = (struct transaction_state){ .p = works[i].text.data, .n = works[i].text.len };
		memcpy(list[used++].id, works[i].c->id, sizeof(list->id));
	}
	transaction_replace_states(d, list, used);
	used = 0;
	for (size_t i = 0; i < n; i++) {
		if (!needs_state(&works[i]))
			continue;
		works[i].c->error = list[used].error;
		works[i].c->err = list[used++].err;
	}
	free(list);
}

/* Renames and syncs; a state that says nothing goes once its message is where it belongs. */
static void
move_files(const struct spool_dirs *d, struct work *works, size_t n)
{
	bool touched[SPOOL_NFOLDERS] = { false };

	for (size_t i = 0; i < n; i++) {
		struct spool_change *c = works[i].c;

		if (c->err != ERR_OK || c->from == c->to)
			continue;
		if ((c->err = transaction_move(d->fds[c->from], c->file, d->fds[c->to], c->file)) != ERR_OK) {
			c->error = errno;
			continue;
		}
		c->is_moved = touched[c->from] = touched[c->to] = true;
		if (c->to == SPOOL_NEW)
			state_remove(d, c->id);
	}
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS; f++) {
		int err = touched[f] ? transaction_sync_folder(d->fds[f]) : ERR_OK, error = errno;

		for (size_t i = 0; i < n && err != ERR_OK; i++) {
			struct spool_change *c = works[i].c;

			if (c->is_moved && (c->from == f || c->to == f)) {
				c->err = err;
				c->error = error;
			}
		}
	}
}

static void
remove_all(const struct spool_dirs *d, struct spool_change *list, size_t n)
{
	struct spool_removal *removals = calloc(n, sizeof(*removals));

	for (size_t i = 0; i < n; i++) {
		struct name name;

		list[i].err = ERR_NOMEM;
		if (name_get(list[i].file, &name) == ERR_OK)
			memcpy(list[i].id, name.id, sizeof(list[i].id));
		if (removals != NULL)
			memcpy(removals[i].file, list[i].file, sizeof(removals[i].file));
	}
	if (removals == NULL)
		return;
	spool_remove(d, removals, n);
	for (size_t i = 0; i < n; i++) {
		const struct spool_removal *r = &removals[i];

		list[i].err = r->err;
		list[i].error = r->error;
		list[i].is_moved = r->removed;
		list[i].from = list[i].to = r->folder;
		list[i].account = r->account;
		list[i].octets = r->octets;
		if (r->removed && list[i].id[0] != 0)
			state_remove(d, list[i].id);
	}
	free(removals);
}

void
spool_change(const struct spool_dirs *d, enum queue_change what, const char *text, struct spool_change *list, size_t n)
{
	struct work *works = NULL;
	uint64_t now_us = io_now_us();

	for (size_t i = 0; i < n; i++) {
		list[i].err = ERR_NOMEM;
		list[i].error = 0;
		list[i].is_moved = false;
		list[i].account = NULL;
		list[i].octets = 0;
		list[i].id[0] = 0;
	}
	if (what == QUEUE_REMOVE) {
		remove_all(d, list, n);
		return;
	}
	if ((works = calloc(n, sizeof(*works))) == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		works[i].c = &list[i];
		buf_init(&works[i].text, STATE_MAX);
		errno = 0;
		list[i].err = prepare(d, what, text, now_us, &works[i]);
		list[i].error = errno;
	}
	write_states(d, works, n);
	move_files(d, works, n);
	for (size_t i = 0; i < n; i++) {
		spool_envelope_free(&works[i].envelope);
		state_free(&works[i].state);
		buf_free(&works[i].text);
	}
	free(works);
}
