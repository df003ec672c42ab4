/*
 * An admin's changes inside postern-spool: the schedule, the account's usage, the log and the trace; the files are changed by
 * change.c. Run by the loop, but for change_batch_perform(). Invariant: a message that was taken out of the schedule comes back,
 * or has left it for good, before its admin is told; no two admins' changes of a message are under way at once.
 */
#include "change_batch.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "log.h"
#include "message.h"
#include "name.h"
#include "queue.h"
#include "spooler.h"
#include "str.h"

/* Words for the log and the trace, and what the text means there. */
static const struct {
	const char	*event, *done, *text;
} words[] = {
	[QUEUE_REMOVE] = { "queue.removed", "removed", NULL }, [QUEUE_HOLD] = { "queue.held", "held", "reason" },
	[QUEUE_RELEASE] = { "queue.released", "released", NULL }, [QUEUE_RETRY] = { "queue.retried", "retried", NULL },
	[QUEUE_BOUNCE] = { "queue.bounced", "bounced", NULL }, [QUEUE_REROUTE] = { "queue.rerouted", "rerouted", "route" },
};

static void
note(struct spooler *sp, const struct change_question *q, const struct spool_change *c, uid_t by)
{
	const char *key = words[q->change].text, *folder = spool_folder_name(c->from);
	char uid[21];

	str_put_u64(uid, by);
	/* A NULL value leaves the pair out. */
	log_info(words[q->change].event, "id", c->id, "by", uid, "account", c->account, "folder", folder,
	    key != NULL ? key : "text", key != NULL ? q->text : NULL, NULL);
	trace_event(sp, c->id, 0, words[q->change].done, "by", uid, key != NULL ? key : "text", key != NULL ? q->text : NULL, NULL);
}

/* Whether a message is being stored: its client has not been answered yet. */
static bool
is_under_way(const struct spooler *sp, const char *id)
{
	const struct message *m = sp->messages;

	while (m != NULL && strcmp(m->id, id) != 0)
		m = m->next;
	return m != NULL;
}

/* All in memory: the state that the disk has may name a later time, which matters only after a restart. */
static enum queue_verdict
retry(const struct change_question *q, struct spooler *sp, const char *file, uid_t by)
{
	struct spool_change c = { .from = SPOOL_CUR };
	struct name n;

	if (name_get(file, &n) != ERR_OK || queue_retry(sp, file) != ERR_OK)
		return QUEUE_NOT_FOUND;
	memcpy(c.id, n.id, sizeof(c.id));
	note(sp, q, &c, by);
	return QUEUE_DONE;
}

static void
take_one(struct change_batch *b, struct spooler *sp, const struct change_question *q, const char *file, uid_t by)
{
	struct change_item *item = &b->items[b->nitems++];
	struct name n;
	int err;

	*item = (struct change_item){ .verdict = QUEUE_BUSY };
	if (name_get(file, &n) == ERR_OK)
		memcpy(item->id, n.id, sizeof(item->id));
	if (item->id[0] != 0 && (is_under_way(sp, item->id) || control_is_changing(&sp->control, item->id)))
		return;
	if (q->change == QUEUE_RETRY) {
		item->verdict = retry(q, sp, file, by);
		return;
	}
	err = queue_take_out(sp, file);
	if (err != ERR_OK && err != ERR_NOTFOUND && err != ERR_SYNTAX)
		return;
	item->is_taken = err == ERR_OK;
	item->is_open = true;
	b->list[b->nlist] = (struct spool_change){ .err = ERR_NOTFOUND };
	memcpy(b->list[b->nlist++].file, file, strlen(file) + 1);
}

void
change_batch_take(struct change_batch *b, struct spooler *sp, const struct ipc_queue_change *m, uid_t by)
{
	struct change_question *q = &b->questions[b->n++];

	q->change = m->change;
	memcpy(q->text, m->text, sizeof(q->text));
	q->first = b->nitems;
	q->n = m->n;
	for (size_t i = 0; i < m->n; i++)
		take_one(b, sp, q, m->files[i], by);
}

bool
change_batch_has(const struct change_batch *b, const char *id)
{
	for (size_t i = 0; i < b->nitems; i++)
		if (b->items[i].is_open && strcmp(b->items[i].id, id) == 0)
			return true;
	return false;
}

/* Questions of one kind that follow each other are one piece of work. */
void
change_batch_perform(struct change_batch *b, const struct spool_dirs *d)
{
	size_t done = 0, open = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct change_question *q = &b->questions[i], *next = i + 1 < b->n ? q + 1 : NULL;

		for (size_t k = q->first; k < q->first + q->n; k++)
			open += b->items[k].is_open;
		if (next != NULL && next->change == q->change && strcmp(next->text, q->text) == 0)
			continue;
		spool_change(d, q->change, q->text, b->list + done, open - done);
		done = open;
	}
}

static enum queue_verdict
verdict_of(int err)
{
	switch (err) {
	case ERR_OK:
		return QUEUE_DONE;
	case ERR_NOTFOUND:
		return QUEUE_NOT_FOUND;
	case ERR_DENIED:
	case ERR_CORRUPT:
	case ERR_VERSION:
		return QUEUE_UNFIT;
	default:
		return QUEUE_FAILED;
	}
}

/* What an account has waiting: failed/ does not count. */
static void
count(struct spooler *sp, const struct spool_change *c, enum queue_change change)
{
	bool had = c->from != SPOOL_FAILED, has = change != QUEUE_REMOVE && c->to != SPOOL_FAILED;

	if (!c->is_moved || c->account == NULL || had == has)
		return;
	if (had)
		waiting_subtract(&sp->waiting, c->account, c->octets);
	else if (waiting_add(&sp->waiting, c->account, c->octets) != ERR_OK)
		log_error("spool.no_memory", "id", c->id, NULL);
}

static void
settle(const struct change_question *q, struct change_item *item, struct spooler *sp, struct spool_change *c, uid_t by)
{
	bool is_scheduled = q->change != QUEUE_REMOVE && (c->to == SPOOL_NEW || c->to == SPOOL_CUR);
	int err;

	item->verdict = verdict_of(c->err);
	/* Also what the disk may forget again after a crash was done. */
	if (c->err == ERR_OK || c->is_moved)
		note(sp, q, c, by);
	if (item->verdict == QUEUE_FAILED && c->err != ERR_SYNTAX)
		log_error("queue.change_failed", "change", words[q->change].done, "file", c->file, "error", strerror(c->error), NULL);
	count(sp, c, q->change);
	/* What has left for hold/, failed/ or for good would be looked for in vain, also when an earlier question had brought it back. */
	if (c->is_moved && !is_scheduled) {
		queue_take_out(sp, c->file);
	} else if (c->is_moved || item->is_taken) {
		if ((err = queue_put_back(sp, c->file)) != ERR_OK)
			log_error("queue.not_scheduled", "id", c->id, "reason", err_text(err), NULL);
		else if (q->change == QUEUE_BOUNCE && c->err == ERR_OK)
			queue_give_up(sp, c->file);
	}
	free(c->account);
	c->account = NULL;
}

void
change_batch_finish(struct change_batch *b, struct spooler *sp, uid_t by)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct change_question *q = &b->questions[i];

		for (size_t k = q->first; k < q->first + q->n; k++)
			if (b->items[k].is_open)
				settle(q, &b->items[k], sp, &b->list[at++], by);
	}
}
