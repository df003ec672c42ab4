#ifndef WORKER_LINE_H
#define WORKER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of a command line without its end: RFC 5321 asks for 512, RFC 4954 for 12288 in AUTH. */
#define LINE_COMMAND_MAX 2048
#define LINE_AUTH_MAX 12288

/*
 * Finds a line in n octets: *len octets without CRLF (or a lone LF, which people at a terminal send),
 * *used with it. False when its end is not there yet.
 */
bool	line_find(const uint8_t *p, size_t n, size_t *len, size_t *used);

#endif
