/*
 * epoll and its dispatch, for programs that own a loop. Invariant: a watch that was removed is never called
 * again, even if its event was in the round that is being dispatched.
 */
#include "loop.h"

#include <errno.h>
#include <stddef.h>

#include "err.h"

int
loop_open(struct loop *l)
{
	*l = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	return l->epoll_fd < 0 ? ERR_SYSTEM : ERR_OK;
}

static int
control(struct loop *l, int operation, struct loop_watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(l->epoll_fd, operation, w->fd, &e) == 0 ? ERR_OK : ERR_SYSTEM;
}

int
loop_add(struct loop *l, struct loop_watch *w, uint32_t events)
{
	return control(l, EPOLL_CTL_ADD, w, events);
}

int
loop_change(struct loop *l, struct loop_watch *w, uint32_t events)
{
	return control(l, EPOLL_CTL_MOD, w, events);
}

void
loop_remove(struct loop *l, struct loop_watch *w)
{
	control(l, EPOLL_CTL_DEL, w, 0);
	for (int i = l->next; i < l->n; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

int
loop_run_once(struct loop *l, int timeout_ms)
{
	l->n = epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH, timeout_ms);
	if (l->n < 0) {
		l->n = 0;
		return errno == EINTR ? ERR_OK : ERR_SYSTEM;
	}
	for (l->next = 0; l->next < l->n;) {
		struct epoll_event *e = &l->batch[l->next++];
		struct loop_watch *w = e->data.ptr;

		if (w != NULL)
			w->handle(w->owner, e->events);
	}
	return ERR_OK;
}
