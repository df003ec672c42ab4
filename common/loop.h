#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

/*
 * One epoll set and its dispatch, for the master and the services (workers are sequential and own no loop).
 * A watch lives in its owner's structure and stays at its address while it is added.
 */
struct loop_watch {
	int	  fd;
	void	(*handle)(void *owner, uint32_t events);	/* EPOLLIN, EPOLLHUP, ...; level-triggered */
	void	 *owner;
};

#define LOOP_BATCH 64

struct loop {
	int			epoll_fd;
	struct epoll_event	batch[LOOP_BATCH];
	int			n, next;
};

/* ERR_SYSTEM. */
int	loop_open(struct loop *l);
int	loop_add(struct loop *l, struct loop_watch *w, uint32_t events);
int	loop_change(struct loop *l, struct loop_watch *w, uint32_t events);

/* Also forgets events of w that this round has not dispatched yet, so that w may be freed at once. Before close(w->fd). */
void	loop_remove(struct loop *l, struct loop_watch *w);

/* Waits at most timeout_ms (-1: for ever) and dispatches one round. ERR_SYSTEM. */
int	loop_run_once(struct loop *l, int timeout_ms);

#endif
