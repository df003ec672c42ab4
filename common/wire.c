/*
 * Typed fields of a datagram. Pure. Invariant: no octet beyond the datagram is ever touched, and
 * a datagram is good only if every field was there and nothing is left.
 */
#include "wire.h"

#include <string.h>

#include "err.h"

void
wire_out_init(struct wire_out *w, void *data, size_t size)
{
	*w = (struct wire_out){ .data = data, .size = size };
}

void
wire_put_raw(struct wire_out *w, const void *p, size_t n)
{
	if (w->failed || n > w->size - w->len) {
		w->failed = true;
		return;
	}
	if (n != 0)
		memcpy(w->data + w->len, p, n);
	w->len += n;
}

static void
put_int(struct wire_out *w, uint64_t v, size_t octets)
{
	uint8_t b[8];

	for (size_t i = 0; i < octets; i++)
		b[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	wire_put_raw(w, b, octets);
}

void
wire_put_u8(struct wire_out *w, uint8_t v)
{
	put_int(w, v, 1);
}

void
wire_put_u16(struct wire_out *w, uint16_t v)
{
	put_int(w, v, 2);
}

void
wire_put_u32(struct wire_out *w, uint32_t v)
{
	put_int(w, v, 4);
}

void
wire_put_u64(struct wire_out *w, uint64_t v)
{
	put_int(w, v, 8);
}

void
wire_put_str(struct wire_out *w, const void *p, size_t n)
{
	if (n > UINT16_MAX) {
		w->failed = true;
		return;
	}
	wire_put_u16(w, (uint16_t)n);
	wire_put_raw(w, p, n);
}

int
wire_out_end(const struct wire_out *w)
{
	return w->failed ? ERR_TOOBIG : ERR_OK;
}

void
wire_in_init(struct wire_in *w, const void *data, size_t len)
{
	*w = (struct wire_in){ .data = data, .left = len };
}

const uint8_t *
wire_get_raw(struct wire_in *w, size_t n)
{
	const uint8_t *p = w->data;

	if (w->failed || n > w->left) {
		w->failed = true;
		return NULL;
	}
	if (n != 0)
		w->data += n;
	w->left -= n;
	return p;
}

static uint64_t
get_int(struct wire_in *w, size_t octets)
{
	const uint8_t *p = wire_get_raw(w, octets);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < octets; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
wire_get_u8(struct wire_in *w)
{
	return (uint8_t)get_int(w, 1);
}

uint16_t
wire_get_u16(struct wire_in *w)
{
	return (uint16_t)get_int(w, 2);
}

uint32_t
wire_get_u32(struct wire_in *w)
{
	return (uint32_t)get_int(w, 4);
}

uint64_t
wire_get_u64(struct wire_in *w)
{
	return get_int(w, 8);
}

uint8_t
wire_get_enum(struct wire_in *w, uint8_t max)
{
	uint8_t v = wire_get_u8(w);

	if (v > max) {
		w->failed = true;
		return 0;
	}
	return v;
}

void
wire_get_str(struct wire_in *w, const uint8_t **p, size_t *n, size_t max)
{
	size_t len = wire_get_u16(w);

	if (len > max)
		w->failed = true;
	*p = wire_get_raw(w, len);
	*n = w->failed ? 0 : len;
}

void
wire_get_text(struct wire_in *w, char *text, size_t size)
{
	const uint8_t *p;
	size_t n;

	text[0] = 0;
	wire_get_str(w, &p, &n, size - 1);
	if (w->failed || n == 0)
		return;
	if (memchr(p, 0, n) != NULL) {
		w->failed = true;
		return;
	}
	memcpy(text, p, n);
	text[n] = 0;
}

void
wire_get_rest(struct wire_in *w, const uint8_t **p, size_t *n)
{
	*n = w->left;
	*p = wire_get_raw(w, w->left);
	if (w->failed)
		*n = 0;
}

int
wire_in_end(const struct wire_in *w)
{
	if (w->failed)
		return ERR_SHORT;
	return w->left != 0 ? ERR_TRAILING : ERR_OK;
}
