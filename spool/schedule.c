/*
 * The schedule of delivery: a heap of the parts that wait, a row of those that are ready at each destination, and the rings by
 * which destinations take turns. Pure; run by postern-spool's loop. Invariant: a part is in one place at a time, and a destination
 * that may give something out is in the ring for it, so that the next one is found without looking at those that may not.
 */
#include "schedule.h"

#include <stdlib.h>

#include "destination.h"

/* Who came first goes first among those that are due at the same time. */
static bool
is_before(const struct part *a, const struct part *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void
put_at(struct schedule *s, size_t at, struct part *p)
{
	s->heap[at] = p;
	p->at = at;
}

static void
sift_up(struct schedule *s, size_t at, struct part *p)
{
	while (at > 0 && is_before(p, s->heap[(at - 1) / 2])) {
		put_at(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put_at(s, at, p);
}

static void
sift_down(struct schedule *s, size_t at, struct part *p)
{
	for (size_t child; (child = 2 * at + 1) < s->n; at = child) {
		if (child + 1 < s->n && is_before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_before(s->heap[child], p))
			break;
		put_at(s, at, s->heap[child]);
	}
	put_at(s, at, p);
}

static void
heap_remove(struct schedule *s, size_t at)
{
	struct part *last = s->heap[--s->n];

	if (at == s->n)
		return;
	if (at > 0 && is_before(last, s->heap[(at - 1) / 2]))
		sift_up(s, at, last);
	else
		sift_down(s, at, last);
}

static void
ring_leave(struct schedule *s, struct destination *d)
{
	if (d->ring == RING_NONE)
		return;
	if (s->rings[d->ring] == d)
		s->rings[d->ring] = d->before != d ? d->before : NULL;
	d->before->behind = d->behind;
	d->behind->before = d->before;
	d->ring = RING_NONE;
}

/* Behind all that wait for their turn: right behind nobody but who was served last. */
static void
ring_join(struct schedule *s, struct destination *d, enum ring ring)
{
	struct destination *last = s->rings[ring];

	d->ring = ring;
	if (last == NULL) {
		d->before = d->behind = d;
	} else {
		d->before = last;
		d->behind = last->behind;
		last->behind->before = d;
		last->behind = d;
	}
	s->rings[ring] = d;
}

void
schedule_review(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	enum ring ring = RING_NONE;

	if (d->ready_first != NULL && (d->is_ours || destination_is_dead(d, now_ms)))
		ring = RING_RECORD;
	else if (d->ready_first != NULL && destination_has_room(d))
		ring = RING_LIVE;
	if (ring == d->ring)
		return;
	ring_leave(s, d);
	if (ring != RING_NONE)
		ring_join(s, d, ring);
}

struct part *
schedule_add(struct schedule *s, struct queue_entry *e, struct destination *d, uint64_t order)
{
	struct part *p;

	/* Room for all of them, so that nothing can fail later. */
	if (s->nparts == s->room) {
		size_t room = s->room != 0 ? 2 * s->room : 1024;
		struct part **heap = realloc(s->heap, room * sizeof(struct part *));

		if (heap == NULL)
			return NULL;
		s->heap = heap;
		s->room = room;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->entry = e;
	p->destination = d;
	p->order = order;
	p->next = d->parts;
	if (p->next != NULL)
		p->next->previous = p;
	d->parts = p;
	s->nparts++;
	return p;
}

/* Out of the place where it is, and nowhere for the moment. */
static void
leave(struct schedule *s, struct part *p, uint64_t now_ms)
{
	struct destination *d = p->destination;
	enum part_place was = p->place;

	p->place = PART_OUT;
	if (was == PART_WAITING) {
		heap_remove(s, p->at);
	} else if (was == PART_READY) {
		if (p->sooner != NULL)
			p->sooner->later = p->later;
		else
			d->ready_first = p->later;
		if (p->later != NULL)
			p->later->sooner = p->sooner;
		else
			d->ready_last = p->sooner;
		p->sooner = p->later = NULL;
	} else if (was == PART_TAKEN && p->is_record) {
		s->recording--;
	} else if (was == PART_TAKEN) {
		s->in_flight--;
		d->in_flight--;
	}
	if (was == PART_READY || was == PART_TAKEN)
		schedule_review(s, d, now_ms);
}

void
schedule_remove(struct schedule *s, struct part *p, uint64_t now_ms)
{
	struct destination *d = p->destination;

	leave(s, p, now_ms);
	if (p->previous != NULL)
		p->previous->next = p->next;
	else
		d->parts = p->next;
	if (p->next != NULL)
		p->next->previous = p->previous;
	d->used_ms = now_ms;
	s->nparts--;
	free(p);
}

void
schedule_wait(struct schedule *s, struct part *p, uint64_t due_ms, uint64_t now_ms)
{
	leave(s, p, now_ms);
	p->due_ms = due_ms;
	p->place = PART_WAITING;
	sift_up(s, s->n++, p);
}

static void
make_ready(struct schedule *s, struct part *p, uint64_t now_ms)
{
	struct destination *d = p->destination;

	heap_remove(s, p->at);
	p->place = PART_READY;
	p->sooner = d->ready_last;
	p->later = NULL;
	if (d->ready_last != NULL)
		d->ready_last->later = p;
	else
		d->ready_first = p;
	d->ready_last = p;
	schedule_review(s, d, now_ms);
}

void
schedule_wake(struct schedule *s, uint64_t now_ms)
{
	while (s->n != 0 && s->heap[0]->due_ms <= now_ms)
		make_ready(s, s->heap[0], now_ms);
}

/* The one whose turn it is in a ring. */
static struct part *
take(struct schedule *s, enum ring ring, uint64_t now_ms)
{
	struct destination *d;
	struct part *p;

	do {
		if (s->rings[ring] == NULL)
			return NULL;
		d = s->rings[ring]->behind;
		/* A back-off may have ended or begun meanwhile. */
		schedule_review(s, d, now_ms);
	} while (d->ring != ring);
	s->rings[ring] = d;
	p = d->ready_first;
	leave(s, p, now_ms);
	p->place = PART_TAKEN;
	p->step = STEP_BEGIN;
	p->from = 0;
	p->is_record = ring == RING_RECORD;
	p->is_returned = p->is_deferred = false;
	if (p->is_record) {
		s->recording++;
	} else {
		s->in_flight++;
		d->in_flight++;
	}
	schedule_review(s, d, now_ms);
	return p;
}

struct part *
schedule_take(struct schedule *s, uint64_t now_ms)
{
	return take(s, RING_LIVE, now_ms);
}

struct part *
schedule_take_record(struct schedule *s, uint64_t now_ms)
{
	return take(s, RING_RECORD, now_ms);
}

void
schedule_revive(struct schedule *s, struct destination *d, uint64_t now_ms)
{
	for (struct part *p = d->parts; p != NULL; p = p->next) {
		if (!p->is_stalled)
			continue;
		p->is_stalled = false;
		if (p->place == PART_WAITING && p->due_ms > now_ms)
			schedule_wait(s, p, now_ms, now_ms);
	}
	schedule_review(s, d, now_ms);
}

int
schedule_next_ms(const struct schedule *s, uint64_t now_ms, int wait_ms)
{
	if (s->n == 0 || s->heap[0]->due_ms >= now_ms + (uint64_t)wait_ms)
		return wait_ms;
	return s->heap[0]->due_ms > now_ms ? (int)(s->heap[0]->due_ms - now_ms) : 0;
}
