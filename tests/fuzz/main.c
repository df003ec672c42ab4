/*
 * Drives one fuzz entry without a fuzzer: fuzz_NAME [-w] ROUNDS FOLDER. Gives it every file of the folder and the
 * inputs that it makes itself, then ROUNDS changed ones of these, always the same. With -w it writes its own inputs
 * into the folder instead. What it falls over is shown in hexadecimal.
 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define SEEDS_MAX 4000
#define INPUT_MAX 65536
#define SHOWN 2048	/* octets of an input that are shown */

#pragma weak fuzz_seed

void	__sanitizer_set_death_callback(void (*callback)(void));
#pragma weak __sanitizer_set_death_callback

static struct input {
	uint8_t	*p;
	size_t	 n;
} seeds[SEEDS_MAX];
static size_t nseeds;
static struct input now;
static uint64_t state = 0x9e3779b97f4a7c15ULL;

/* xorshift64: the same numbers everywhere. */
static size_t
below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n == 0 ? 0 : (size_t)(state >> 11) % n;
}

static void
show(void)
{
	static const char digits[] = "0123456789abcdef";
	static char text[2 * SHOWN + 32];
	size_t len = (size_t)snprintf(text, 32, "input of %zu octets: ", now.n);

	for (size_t i = 0; i < now.n && i < SHOWN; i++) {
		text[len++] = digits[now.p[i] >> 4];
		text[len++] = digits[now.p[i] & 15];
	}
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, len) < 0)
		_exit(1);
}

static void
die(int number)
{
	show();
	signal(number, SIG_DFL);
	raise(number);
}

/* In memory of exactly its length, so that the sanitizer sees one octet too far. */
static void
give(const uint8_t *p, size_t n)
{
	now = (struct input){ .p = malloc(n != 0 ? n : 1), .n = n };
	if (now.p == NULL)
		abort();
	memcpy(now.p, p, n);
	LLVMFuzzerTestOneInput(now.p, n);
	free(now.p);
}

static void
keep(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n != 0 ? n : 1);

	if (copy == NULL || nseeds == SEEDS_MAX) {
		fputs("too many seeds\n", stderr);
		exit(1);
	}
	memcpy(copy, p, n);
	seeds[nseeds++] = (struct input){ .p = copy, .n = n };
}

static int
compare(const void *a, const void *b)
{
	const struct input *l = a, *r = b;
	int order = memcmp(l->p, r->p, l->n < r->n ? l->n : r->n);

	return order != 0 ? order : (l->n > r->n) - (l->n < r->n);
}

static void
read_seeds(const char *folder)
{
	static uint8_t data[INPUT_MAX];
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_name[0] == '.' || (f = fopen(path, "rb")) == NULL)
			continue;
		keep(data, fread(data, 1, sizeof(data), f));
		fclose(f);
	}
	if (dir != NULL)
		closedir(dir);
	for (size_t i = 0, n; fuzz_seed != NULL && (n = fuzz_seed(i, data, sizeof(data))) != 0; i++)
		keep(data, n);
	/* A folder has no order of its own. */
	qsort(seeds, nseeds, sizeof(seeds[0]), compare);
}

static size_t
change(uint8_t *p, size_t n)
{
	static const uint8_t telling[] = "\0\r\n .,:;<>\"\\@()[]{}=-+*%'#/?_019azAZ\t\x7f\x80\xc3\xa4\xe2\xff";
	const struct input *other = &seeds[below(nseeds)];
	size_t at = below(n + 1), len = below(below(16) == 0 ? 600 : 9) + 1, from = below(other->n + 1);

	switch (below(7)) {
	case 0:		/* one octet */
		if (at < n)
			p[at] = below(2) == 0 ? (uint8_t)below(256) : telling[below(sizeof(telling) - 1)];
		return n;
	case 1:
		if (at < n)
			p[at] ^= (uint8_t)(1u << below(8));
		return n;
	case 2:		/* left out */
		len = len < n - at ? len : n - at;
		memmove(p + at, p + at + len, n - at - len);
		return n - len;
	case 3:		/* put in, perhaps many times */
		if (n + len > INPUT_MAX)
			return n;
		memmove(p + at + len, p + at, n - at);
		memset(p + at, telling[below(sizeof(telling) - 1)], len);
		return n + len;
	case 4:		/* a piece of its own again */
		len = len < n - at ? len : n - at;
		if (n + len > INPUT_MAX)
			return n;
		memmove(p + at + len, p + at, n - at);
		return n + len;
	case 5:		/* a piece of another one */
		len = len * 4 < other->n - from ? len * 4 : other->n - from;
		if (n + len > INPUT_MAX)
			return n;
		memmove(p + at + len, p + at, n - at);
		memcpy(p + at, other->p + from, len);
		return n + len;
	default:	/* cut */
		return at;
	}
}

int
main(int argc, char **argv)
{
	static const int faults[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM };
	static uint8_t data[INPUT_MAX];
	size_t rounds;

	if (argc == 4 && strcmp(argv[1], "-w") == 0) {
		for (size_t i = 0, n; fuzz_seed != NULL && (n = fuzz_seed(i, data, sizeof(data))) != 0; i++) {
			char path[4096];
			FILE *f;

			snprintf(path, sizeof(path), "%s/own%04zu", argv[3], i);
			if ((f = fopen(path, "wb")) == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0)
				return 1;
		}
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: %s [-w] ROUNDS FOLDER\n", argv[0]);
		return 64;
	}
	rounds = strtoul(argv[1], NULL, 10);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(show);
	else
		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			signal(faults[i], die);
	read_seeds(argv[2]);
	if (nseeds == 0) {
		fprintf(stderr, "%s: there is no seed in %s\n", argv[0], argv[2]);
		return 1;
	}
	give(data, 0);
	for (size_t i = 0; i < nseeds; i++) {
		alarm(20);
		give(seeds[i].p, seeds[i].n);
	}
	for (size_t round = 0; round < rounds; round++) {
		const struct input *from = &seeds[below(nseeds)];
		size_t n = from->n;

		memcpy(data, from->p, n);
		for (size_t times = below(6) + 1; times != 0; times--)
			n = change(data, n);
		alarm(20);
		give(data, n);
	}
	printf("%zu seeds, %zu changed ones\n", nseeds, rounds);
	return 0;
}
