#ifndef KEYS_DKIM_SERVE_H
#define KEYS_DKIM_SERVE_H

#include <stddef.h>

struct dkim_key;
struct loop;

/* The keys to sign mail with, sorted by domain; they stay the caller's. */
void	dkim_serve_open(const struct dkim_key *keys, size_t n);

/* The socket to spool, in place of an older one: the domains are told, then its questions are answered. Takes fd. */
void	dkim_serve_link(struct loop *l, int fd);
void	dkim_serve_close(struct loop *l);

#endif
