/*
 * A growable, bounded octet buffer. Runs everywhere. Invariant: len <= size <= max.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mem.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

int
buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size != 0 ? b->size : 256;
	uint8_t *data;

	if (n > b->max || b->len > b->max - n)
		return ERR_TOOBIG;
	if (b->len + n <= b->size)
		return ERR_OK;
	while (size < b->len + n)
		size = size > b->max / 2 ? b->max : size * 2;
	if (size > b->max)
		size = b->max;
	data = realloc(b->data, size);
	if (data == NULL)
		return ERR_NOMEM;
	b->data = data;
	b->size = size;
	return ERR_OK;
}

int
buf_put(struct buf *b, const void *p, size_t n)
{
	int err;

	if (n == 0)
		return ERR_OK;
	if ((err = buf_reserve(b, n)) != ERR_OK)
		return err;
	memcpy(b->data + b->len, p, n);
	b->len += n;
	return ERR_OK;
}

int
buf_put_str(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

int
buf_put_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n, err;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return ERR_NOMEM;
	err = buf_put(b, text, (size_t)n);
	free(text);
	return err;
}

int
buf_put_nul(struct buf *b)
{
	int err;

	if ((err = buf_reserve(b, 1)) != ERR_OK)
		return err;
	b->data[b->len] = 0;
	return ERR_OK;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void
buf_wipe(struct buf *b)
{
	mem_wipe(b->data, b->size);
	buf_free(b);
}
