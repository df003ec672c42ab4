#ifndef RELAY_RESOLVER_PROCESS_H
#define RELAY_RESOLVER_PROCESS_H

struct service;

/*
 * The resolver process itself, on its end of the pair: reads what it needs, enters its sandbox, says so (a datagram "+", or "-" and
 * a sentence why not), and answers questions until the pair ends. Never returns.
 */
void	resolver_process(const struct service *s, int fd) __attribute__((noreturn));

#endif
