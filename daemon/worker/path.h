#ifndef WORKER_PATH_H
#define WORKER_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "ipc.h"

/* What is wrong with the argument of MAIL or RCPT; each has its reply. */
enum path_error {
	PATH_OK,
	PATH_SYNTAX,			/* keyword missing, nothing behind it, junk behind '>', a malformed parameter */
	PATH_NEEDS_BRACKETS,		/* something that is not one <...> */
	PATH_INVALID,			/* malformed inside <> */
	PATH_PARAMETER_TWICE,
	PATH_PARAMETER_UNKNOWN,
	PATH_PARAMETER_VALUE,		/* a known parameter with a value that is not supported */
};

/*
 * "FROM:<reverse-path> [parameters]" and "TO:<forward-path> [parameters]" (RFC 5321, 4.1.2; parameters of RFC 1870,
 * 6152, 6531, 3461, 4954). Source routes are dropped; "<postmaster>" becomes postmaster@hostname. Blanks before '<' pass.
 */
enum path_error path_parse_mail(const uint8_t *p, size_t n, struct ipc_sender *m);
enum path_error path_parse_rcpt(const uint8_t *p, size_t n, const char *hostname, bool smtputf8, struct ipc_recipient *m);

#endif
