/*
 * Fuzz entry for the texts that keys signs: none is both shapes, and each is as long as its shape.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "judge.h"

static const char context[] = "TLS 1.3, server CertificateVerify";

size_t
fuzz_seed(size_t i, uint8_t *to, size_t size)
{
	static const struct {
		uint8_t	group, point, form;
	} curves[] = { { 23, 65, 4 }, { 24, 97, 4 }, { 25, 133, 4 }, { 29, 32, 0x77 }, { 30, 56, 0x77 } };
	size_t digest = i == 0 ? 32 : 48;

	(void)size;
	if (i < 2) {
		memset(to, ' ', 64);
		memcpy(to + 64, context, sizeof(context));
		memset(to + 64 + sizeof(context), 0xd5, digest);
		return 64 + sizeof(context) + digest;
	}
	if ((i -= 2) >= sizeof(curves) / sizeof(curves[0]))
		return 0;
	memset(to, 0x5a, 64);
	to[64] = 3;
	to[65] = 0;
	to[66] = curves[i].group;
	to[67] = curves[i].point;
	memset(to + 68, curves[i].form, curves[i].point);
	return 68u + curves[i].point;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum judge_shape shape;

	if (judge_text(p, n, &shape) != ERR_OK)
		return 0;
	if (shape == JUDGE_TLS13)
		must((n == 64 + sizeof(context) + 32 || n == 64 + sizeof(context) + 48) &&
		    memcmp(p + 64, context, sizeof(context)) == 0);
	else
		must(shape == JUDGE_TLS12 && n > 68 && p[64] == 3 && n == 68u + p[67]);
	return 0;
}
