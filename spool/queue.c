/*
 * The queue: the messages that delivery has to do with, and giving them out. Run by postern-spool's loop. Invariant: a message of
 * new/ or cur/ is in the row of those that are to be routed, or has parts, or is being worked on, unless an admin has
 * taken it out; with no route at all nothing is read and nothing written but what an admin has given up.
 */
#include "queue.h"

#include <stdlib.h>
#include <string.h>

#include "active.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "name.h"
#include "relay_link.h"
#include "spooler.h"
#include "str.h"

#define BUCKETS_FIRST 1024
#define READING_MAX 64		/* messages that are read at the same time to be routed */
#define RECORDING_MAX 8		/* parts that need no relay and are worked on at the same time: delivery goes first */

static size_t
hash(const char *id)
{
	uint64_t h = 1469598103934665603ULL;	/* FNV-1a */

	for (size_t i = 0; i < NAME_ID_LEN; i++)
		h = (h ^ (uint8_t)id[i]) * 1099511628211ULL;
	return (size_t)h;
}

/* In the file's name, which was parsed when it came in: SECONDS.Q<id>S... */
static const char *
id_of(const struct queue_entry *e)
{
	return strchr(e->file, '.') + 2;
}

void
queue_get_id(const struct queue_entry *e, char id[SPOOL_ID_TEXT])
{
	memcpy(id, id_of(e), NAME_ID_LEN);
	id[NAME_ID_LEN] = 0;
}

int
queue_init(struct spooler *sp)
{
	struct queue *q = &sp->queue;

	q->generation = 1;
	q->nbuckets = BUCKETS_FIRST;
	q->buckets = calloc(q->nbuckets, sizeof(struct queue_entry *));
	return q->buckets != NULL ? ERR_OK : ERR_NOMEM;
}

/* Where the entry of an id is linked, or would be. */
static struct queue_entry **
find(const struct queue *q, const char *id)
{
	struct queue_entry **at = &q->buckets[hash(id) % q->nbuckets];

	while (*at != NULL && memcmp(id_of(*at), id, NAME_ID_LEN) != 0)
		at = &(*at)->next;
	return at;
}

struct queue_entry *
queue_find(const struct queue *q, const char *id)
{
	return strlen(id) == NAME_ID_LEN ? *find(q, id) : NULL;
}

static struct queue_entry *
find_file(const struct queue *q, const char *file)
{
	struct name n;

	return name_get(file, &n) == ERR_OK ? queue_find(q, n.id) : NULL;
}

/* So that looking up stays short; without memory it only becomes longer. */
static void
grow(struct queue *q)
{
	size_t n = 4 * q->nbuckets;
	struct queue_entry **buckets = calloc(n, sizeof(struct queue_entry *)), *next;

	if (buckets == NULL)
		return;
	for (size_t i = 0; i < q->nbuckets; i++) {
		for (struct queue_entry *e = q->buckets[i]; e != NULL; e = next) {
			struct queue_entry **at;

			next = e->next;
			at = &buckets[hash(id_of(e)) % n];
			e->next = *at;
			*at = e;
		}
	}
	free(q->buckets);
	q->buckets = buckets;
	q->nbuckets = n;
}

static void
row_join(struct queue *q, struct queue_entry *e)
{
	e->is_unrouted = true;
	if (e->is_given_up && q->oldest != NULL) {
		e->older = NULL;
		e->younger = q->oldest;
		q->oldest->older = e;
		q->oldest = e;
		return;
	}
	e->older = q->youngest;
	e->younger = NULL;
	if (q->youngest != NULL)
		q->youngest->younger = e;
	else
		q->oldest = e;
	q->youngest = e;
}

static void
row_leave(struct queue *q, struct queue_entry *e)
{
	if (!e->is_unrouted)
		return;
	e->is_unrouted = false;
	if (e->older != NULL)
		e->older->younger = e->younger;
	else
		q->oldest = e->younger;
	if (e->younger != NULL)
		e->younger->older = e->older;
	else
		q->youngest = e->older;
	e->older = e->younger = NULL;
}

static void
drop_parts(struct queue *q, struct queue_entry *e)
{
	uint64_t now = io_now_ms();

	for (struct part *p = e->parts, *next; p != NULL; p = next) {
		next = p->sibling;
		schedule_remove(&q->schedule, p, now);
	}
	e->parts = NULL;
	e->generation = 0;
}

void
queue_unroute(struct spooler *sp, struct queue_entry *e, uint64_t rest_until_ms)
{
	drop_parts(&sp->queue, e);
	if (!e->is_unrouted)
		row_join(&sp->queue, e);
	if (rest_until_ms > sp->queue.rest_until_ms)
		sp->queue.rest_until_ms = rest_until_ms;
}

int
queue_add(struct spooler *sp, const char *file, bool is_in_cur)
{
	struct queue *q = &sp->queue;
	struct queue_entry **at, *e;
	size_t n = strlen(file);
	struct name name;
	uint64_t us, now_us = io_now_us();

	if (n >= SPOOL_NAME_MAX || name_get(file, &name) != ERR_OK || name_get_id(name.id, strlen(name.id), &us) != ERR_OK)
		return ERR_SYNTAX;
	if (*(at = find(q, name.id)) != NULL)
		return ERR_OK;
	if ((e = calloc(1, sizeof(*e) + n + 1)) == NULL)
		return ERR_NOMEM;
	memcpy(e->file, file, n + 1);
	e->is_in_cur = is_in_cur;
	/* By the steady clock from here on; one that seems to come from the future is new. */
	e->born_ms = (int64_t)io_now_ms() - (int64_t)(now_us > us ? (now_us - us) / 1000 : 0);
	*at = e;
	row_join(q, e);
	if (++q->nentries > 2 * q->nbuckets)
		grow(q);
	return ERR_OK;
}

void
queue_forget(struct spooler *sp, struct queue_entry *e)
{
	struct queue *q = &sp->queue;
	struct queue_entry **at = find(q, id_of(e));

	*at = e->next;
	q->nentries--;
	row_leave(q, e);
	drop_parts(q, e);
	free(e);
}

static int
compare(const void *left, const void *right)
{
	const struct queue_entry *const *a = left, *const *b = right;

	if ((*a)->is_given_up != (*b)->is_given_up)
		return (*a)->is_given_up ? -1 : 1;
	return memcmp(id_of(*a), id_of(*b), NAME_ID_LEN);
}

int
queue_sort(struct spooler *sp)
{
	struct queue *q = &sp->queue;
	struct queue_entry **list = malloc((q->nentries + 1) * sizeof(struct queue_entry *));
	size_t n = 0;

	if (list == NULL)
		return ERR_NOMEM;
	for (struct queue_entry *e = q->oldest; e != NULL; e = e->younger)
		list[n++] = e;
	qsort(list, n, sizeof(list[0]), compare);
	q->oldest = q->youngest = NULL;
	/* From the end on, those that were given up: each of them comes first. */
	for (size_t i = n; i-- > 0;)
		if (list[i]->is_given_up)
			row_join(q, list[i]);
	for (size_t i = 0; i < n; i++)
		if (!list[i]->is_given_up)
			row_join(q, list[i]);
	free(list);
	return ERR_OK;
}

int
queue_take_out(struct spooler *sp, const char *file)
{
	struct queue_entry *e = find_file(&sp->queue, file);

	if (e == NULL)
		return ERR_NOTFOUND;
	if (e->active != NULL) {
		if (active_is_busy(e->active))
			return ERR_BUSY;
		active_detach(e->active);
	}
	queue_forget(sp, e);
	return ERR_OK;
}

int
queue_put_back(struct spooler *sp, const char *file)
{
	return queue_add(sp, file, true);
}

int
queue_retry(struct spooler *sp, const char *file)
{
	struct queue *q = &sp->queue;
	struct queue_entry *e = find_file(q, file);
	uint64_t now = io_now_ms();

	if (e == NULL)
		return ERR_NOTFOUND;
	if (e->parts == NULL)
		e->is_hurried = true;
	for (struct part *p = e->parts; p != NULL; p = p->sibling) {
		destination_clear(p->destination);
		if (p->place == PART_WAITING)
			schedule_wait(&q->schedule, p, now, now);
		schedule_review(&q->schedule, p->destination, now);
	}
	return ERR_OK;
}

void
queue_give_up(struct spooler *sp, const char *file)
{
	struct queue_entry *e = find_file(&sp->queue, file);

	if (e == NULL || !e->is_unrouted)
		return;
	row_leave(&sp->queue, e);
	e->is_given_up = true;
	row_join(&sp->queue, e);
}

void
queue_pause(struct spooler *sp, bool paused)
{
	sp->queue.is_paused = paused;
}

void
queue_reload(struct spooler *sp, const struct conf *old)
{
	const struct conf *new = &sp->service.conf;
	struct queue *q = &sp->queue;

	if (old->nroutes == new->nroutes && memcmp(old->routes, new->routes, new->nroutes * sizeof(new->routes[0])) == 0 &&
	    old->delivery_sessions_per_destination == new->delivery_sessions_per_destination)
		return;
	if (++q->generation == 0)
		q->generation = 1;
	for (size_t i = 0; i < q->nbuckets; i++)
		for (struct queue_entry *e = q->buckets[i]; e != NULL; e = e->next)
			if (e->active == NULL)
				queue_unroute(sp, e, 0);
	if (queue_sort(sp) != ERR_OK)
		log_error("spool.no_memory", "what", "the order of the queue", NULL);
}

static void
give_out(struct spooler *sp, struct part *p, uint64_t now_ms)
{
	if (active_open(sp, p->entry) != ERR_OK)
		schedule_wait(&sp->queue.schedule, p, now_ms + 1000, now_ms);
	else
		active_step(p->entry->active);
}

int
queue_run(struct spooler *sp, uint64_t now_ms, int wait_ms)
{
	struct queue *q = &sp->queue;
	const struct conf *c = &sp->service.conf;
	struct part *p;

	/* As many again may lie ready at relay, so that no session waits for this program. */
	size_t most = 2 * (size_t)c->delivery_sessions;

	if (sp->draining)
		return wait_ms;
	schedule_wake(&q->schedule, now_ms);
	while (!q->is_paused && q->schedule.recording < RECORDING_MAX && (p = schedule_take_record(&q->schedule, now_ms)) != NULL)
		give_out(sp, p, now_ms);
	while (!q->is_paused && c->nroutes != 0 && relay_link_is_ready(sp) && q->schedule.in_flight < most &&
	    (p = schedule_take(&q->schedule, now_ms)) != NULL)
		give_out(sp, p, now_ms);
	while (q->oldest != NULL && q->reading < READING_MAX && now_ms >= q->rest_until_ms) {
		struct queue_entry *e = q->oldest;

		if (c->nroutes == 0 && !e->is_given_up)
			break;
		row_leave(q, e);
		if (active_open(sp, e) != ERR_OK) {
			queue_unroute(sp, e, now_ms + 1000);
			break;
		}
	}
	relay_link_flush(sp);
	return schedule_next_ms(&q->schedule, now_ms, wait_ms);
}

bool
queue_is_quiet(const struct spooler *sp)
{
	return sp->actives == NULL;
}
