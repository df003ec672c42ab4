#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "spool.h"

struct buf;

/*
 * The text of a message file, postern-spool(5): a first line of fixed length with size and digest, then the envelope's fields,
 * then the message. One put and one get stand together.
 */
#define FORMAT_FIRST_LINE 128		/* octets of the first line with its CRLF */
#define FORMAT_DIGEST 32		/* octets of a SHA-256 */
#define FORMAT_ENVELOPE_MAX (12u << 20)	/* octets of an envelope: 10000 recipients with the longest parameters */

/*
 * to holds FORMAT_FIRST_LINE + 1. digest NULL is the placeholder of a file that is still being written. is_from_judged: every address of
 * its From fields is one that the account may use.
 */
void	format_put_first_line(char *to, uint64_t size, const uint8_t *digest, bool is_from_judged);
/* n octets from the start of a file. ERR_CORRUPT, ERR_VERSION. */
int	format_get_first_line(const uint8_t *p, size_t n, uint64_t *size, uint8_t digest[FORMAT_DIGEST], bool *is_from_judged);

/* Whether a text may stand as a value: printable ASCII or UTF-8, no blank, no control octet. */
bool	format_is_value(const char *text);

/*
 * Append one line or several; strings are used as they are: check them with format_is_value(). credential "" or NULL for none; one with
 * control octets is left out. ERR_NOMEM, ERR_TOOBIG.
 */
int	format_put_start(struct buf *b, const char *id, const char *account, const char *credential, uint64_t session, uint32_t t,
	    uint64_t arrival_us);
/* ret and envid NULL or "" for none. */
int	format_put_sender(struct buf *b, const char *address, const char *ret, const char *envid, bool body_8bit, bool smtputf8);
int	format_put_recipient(struct buf *b, const char *address, const char *notify, const char *orcpt);
int	format_put_end(struct buf *b);

/* A time as str_put_time() writes it, and no other form. ERR_CORRUPT. */
int	format_get_time(const char *text, uint64_t *us);

/*
 * Parses the envelope of n octets from the start of a file that is file_size long. *e is to be freed also after an error.
 * ERR_SHORT: it goes on behind n; ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. Pure.
 */
int	format_get_envelope(const uint8_t *p, size_t n, uint64_t file_size, struct spool_envelope *e);

#endif
