#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Typed fields of a datagram: big-endian integers and counted strings. Errors stick: put or get all
 * fields, then ask wire_out_end() or wire_in_end() once.
 */
struct wire_out {
	uint8_t	*data;
	size_t	 len, size;
	bool	 failed;
};

struct wire_in {
	const uint8_t	*data;
	size_t		 left;
	bool		 failed;
};

void	wire_out_init(struct wire_out *w, void *data, size_t size);
void	wire_put_u8(struct wire_out *w, uint8_t v);
void	wire_put_u16(struct wire_out *w, uint16_t v);
void	wire_put_u32(struct wire_out *w, uint32_t v);
void	wire_put_u64(struct wire_out *w, uint64_t v);
/* A counted string: u16 length, then the octets. */
void	wire_put_str(struct wire_out *w, const void *p, size_t n);
/* n octets without a count; the receiver takes what is left, or knows n. */
void	wire_put_raw(struct wire_out *w, const void *p, size_t n);
/* ERR_TOOBIG if anything did not fit. */
int	wire_out_end(const struct wire_out *w);

void	wire_in_init(struct wire_in *w, const void *data, size_t len);
uint8_t	 wire_get_u8(struct wire_in *w);
uint16_t wire_get_u16(struct wire_in *w);
uint32_t wire_get_u32(struct wire_in *w);
uint64_t wire_get_u64(struct wire_in *w);
/* Points into the datagram; fails when longer than max octets. */
void	wire_get_str(struct wire_in *w, const uint8_t **p, size_t *n, size_t max);
/* Copies into a buffer of size octets and ends it with NUL; a NUL inside the string fails. */
void	wire_get_text(struct wire_in *w, char *text, size_t size);
/* All that is left. */
void	wire_get_rest(struct wire_in *w, const uint8_t **p, size_t *n);
/* Exactly n octets, or NULL and failed. */
const uint8_t *wire_get_raw(struct wire_in *w, size_t n);
/* A u8 that must be at most max. */
uint8_t	wire_get_enum(struct wire_in *w, uint8_t max);
/* ERR_SHORT if any field was missing or over its bound, ERR_TRAILING if octets are left. */
int	wire_in_end(const struct wire_in *w);

#endif
