#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies n octets of p into a buffer of size and ends it with NUL. ERR_TOOBIG (nothing copied but ""),
 * ERR_SYNTAX when p holds a NUL. */
int	str_copy(char *to, size_t size, const void *p, size_t n);

/* snprintf that answers ERR_TOOBIG instead of cutting off. */
int	str_fmt(char *to, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Whether two counted texts are the same without ASCII case. */
bool	str_is_equal_nocase(const void *a, size_t an, const void *b, size_t bn);

/* A decimal number of n octets, digits only, at most max. ERR_SYNTAX, ERR_TOOBIG. */
int	str_parse_u64(const void *p, size_t n, uint64_t max, uint64_t *value);

/* "8M", "512K", "1G", "8388608": octets. ERR_SYNTAX, ERR_TOOBIG. */
int	str_parse_size(const char *s, uint64_t *octets);

/* "30s", "5m", "2h", "4d", "1w", "250ms", plain number = seconds: milliseconds. ERR_SYNTAX, ERR_TOOBIG. */
int	str_parse_duration(const char *s, uint64_t *ms);

/* The shortest exact form of the two above. to holds at least 24 octets. */
void	str_put_size(char *to, uint64_t octets);
void	str_put_duration(char *to, uint64_t ms);

/* A number in decimal, in hexadecimal of 16 digits; to holds at least 21 octets; returns to. */
char	*str_put_u64(char *to, uint64_t value);
char	*str_put_hex64(char *to, uint64_t value);

/* n octets in lower-case hexadecimal; to holds 2n + 1 octets; returns to. */
char	*str_put_hex(char *to, const void *p, size_t n);

/* The RFC 3339 time in UTC with microseconds, "2026-11-21T22:10:17.123456Z"; to holds 28 octets; returns to. */
char	*str_put_time(char *to, uint64_t us_since_epoch);

/* Whether the octets are well-formed UTF-8 (RFC 3629: no surrogates, shortest form). */
bool	str_is_utf8(const void *p, size_t n);

/* The word of a list that is nearest to `word` by edit distance, or NULL when none is near (for "did you mean"). */
const char *str_nearest(const char *word, const char *const *words, size_t n);

#endif
