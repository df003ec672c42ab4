/*
 * Deliveries on their way through postern-relay: kept as the datagrams they came as, handed on as those. Invariant: a delivery's
 * descriptors are closed or handed over exactly once; its text is never anywhere but in unshared memory.
 */
#include <string.h>

#include "err.h"
#include "io.h"
#include "relay.h"
#include "str.h"

#define LENGTH_OCTETS 4

static int
append(struct relay *r, struct delivery *d, const uint8_t *p, size_t n)
{
	while (n != 0) {
		size_t room = d->last != NULL ? sizeof(d->last->data) - d->last->used : 0, part = n < room ? n : room;

		if (room == 0) {
			struct piece *one = unshared_get(r->unshared);

			if (one == NULL)
				return ERR_NOMEM;
			if (d->last != NULL)
				d->last->next = one;
			else
				d->first = one;
			d->last = one;
			continue;
		}
		memcpy(d->last->data + d->last->used, p, part);
		d->last->used += part;
		p += part;
		n -= part;
	}
	return ERR_OK;
}

int
delivery_add(struct relay *r, struct delivery *d, size_t n)
{
	const uint8_t length[LENGTH_OCTETS] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
	int err = append(r, d, length, sizeof(length));

	return err == ERR_OK ? append(r, d, r->unshared->datagram, n) : err;
}

struct delivery *
delivery_begin(struct relay *r, size_t n, int file_fd, int result_fd)
{
	const struct ipc_deliver *m = &r->unshared->deliver;
	struct delivery *d = unshared_get(r->unshared);

	if (d == NULL)
		return NULL;
	d->number = m->number;
	d->n = m->nrecipients;
	d->file_fd = d->result_fd = -1;
	memcpy(d->id, m->id, sizeof(d->id));
	if (delivery_add(r, d, n) != ERR_OK) {
		delivery_free(r, d);
		return NULL;
	}
	d->file_fd = file_fd;
	d->result_fd = result_fd;
	return d;
}

/* The next n octets of the pieces. */
static void
take(struct piece **piece, size_t *at, uint8_t *to, size_t n)
{
	while (n != 0) {
		size_t left = (*piece)->used - *at, part = n < left ? n : left;

		memcpy(to, (*piece)->data + *at, part);
		to += part;
		n -= part;
		if ((*at += part) == (*piece)->used) {
			*piece = (*piece)->next;
			*at = 0;
		}
	}
}

int
delivery_forward(struct relay *r, struct delivery *d, int fd)
{
	const int fds[2] = { d->file_fd, d->result_fd };
	struct piece *piece = d->first;
	size_t at = 0;
	int err;

	for (size_t i = 0; i <= d->n; i++) {
		uint8_t length[LENGTH_OCTETS];
		struct wire_out w;

		take(&piece, &at, length, sizeof(length));
		wire_out_init(&w, r->unshared->datagram, sizeof(r->unshared->datagram));
		w.len = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
		take(&piece, &at, w.data, w.len);
		if ((err = ipc_send(fd, &w, fds, i == 0 ? 2 : 0, false)) != ERR_OK)
			return err;
	}
	io_close(&d->file_fd);
	io_close(&d->result_fd);
	/* What is still needed are number, id and indexes. */
	while (d->first != NULL) {
		piece = d->first;
		d->first = piece->next;
		unshared_drop(r->unshared, piece);
	}
	d->last = NULL;
	return ERR_OK;
}

void
delivery_free(struct relay *r, struct delivery *d)
{
	io_close(&d->file_fd);
	io_close(&d->result_fd);
	for (struct piece *p = d->first, *next; p != NULL; p = next) {
		next = p->next;
		unshared_drop(r->unshared, p);
	}
	unshared_drop(r->unshared, d);
}

static void
tell_end(struct relay *r, uint64_t number, int result_fd, const struct ipc_finished *m)
{
	struct ipc_finished *f = &r->unshared->finished;
	struct wire_out w;

	if (f != m)
		*f = *m;
	f->number = number;
	wire_out_init(&w, r->unshared->datagram, sizeof(r->unshared->datagram));
	ipc_put_finished(&w, f);
	/* The socket is new and empty: there is room. If nobody listens any more, nobody needs to know. */
	ipc_send(result_fd, &w, NULL, 0, false);
}

void
delivery_finish(struct relay *r, struct delivery *d, const struct ipc_finished *m)
{
	tell_end(r, d->number, d->result_fd, m);
	delivery_free(r, d);
}

void
delivery_refuse(struct relay *r, uint64_t number, int result_fd)
{
	struct ipc_finished m = { .outcome = { .verdict = DELIVERY_RETURNED, .enhanced = "4.3.2" } };

	str_fmt(m.outcome.reply, sizeof(m.outcome.reply), "the delivery was not begun");
	tell_end(r, number, result_fd, &m);
}

void
delivery_return(struct relay *r, struct delivery *d)
{
	delivery_refuse(r, d->number, d->result_fd);
	delivery_free(r, d);
}
