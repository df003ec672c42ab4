/*
 * The relay's resolver by itself, for tests/e2e/test_resolver.py: starts it on an instance's configuration, asks what the lines of
 * standard input say ("mx NAME", "addresses NAME"), all at once, and prints an answer a line. Also "die": kills the resolver.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "resolver.h"
#include "service.h"

static struct resolver resolver;
static struct loop loop;
static size_t waiting;
static bool is_lost;

struct question {
	char	name[300], type[16];
};
static struct question questions[4096];

static void
done(void *owner, const struct ipc_resolve_answer *a)
{
	static const char *const words[] = { "ok", "nxdomain", "nodata", "temporary", "bogus", "unusable" };
	const struct question *q = owner;
	char text[NETADDR_TEXT];

	printf("%s %s %s%s", q->type, q->name, words[a->status], a->is_secure && a->status == RESOLVE_OK ? " secure" : "");
	for (size_t i = 0; i < a->n; i++) {
		if (a->type == RESOLVE_MX)
			printf(" %u:%s", a->hosts[i].preference, a->hosts[i].name);
		else
			printf(" %s", netaddr_put_host(text, &a->addresses[i]));
	}
	printf("%s%s\n", a->why[0] != 0 ? " # " : "", a->why);
	fflush(stdout);
	waiting--;
}

static void
lost(void *owner)
{
	(void)owner;
	is_lost = true;
	puts("lost");
}

int
main(int argc, char **argv)
{
	static struct service s = { .name = "relay" };
	struct conf_error error;
	char line[400], why[512];
	uint64_t number;
	size_t n = 0;
	int err;

	log_open("resolve", LOG_LEVEL_INFO);
	if (argc != 2 || instance_open(&s.in, argv[1]) != ERR_OK)
		return 64;
	if (conf_load(&s.conf, s.in.conf_file, NULL, NULL, &error) != ERR_OK) {
		fprintf(stderr, "%s\n", error.text);
		return 78;
	}
	instance_ids(&s.in, &s.conf, &s.ids);
	if (resolver_start(&resolver, &s, why, sizeof(why)) != ERR_OK) {
		printf("%s\n", why);
		return 71;
	}
	if (loop_open(&loop) != ERR_OK || resolver_watch(&resolver, &loop, lost, NULL) != ERR_OK)
		return 71;
	printf("pid %d\n", (int)resolver.pid);
	fflush(stdout);
	while (n < sizeof(questions) / sizeof(questions[0]) && fgets(line, sizeof(line), stdin) != NULL) {
		struct question *q = &questions[n++];

		if (strncmp(line, "die", 3) == 0) {
			kill(resolver.pid, SIGKILL);
			continue;
		}
		if (sscanf(line, "%15s %299s", q->type, q->name) != 2)
			continue;
		/* Full: hear some answers first. */
		while ((err = resolver_ask(&resolver, strcmp(q->type, "mx") == 0 ? RESOLVE_MX : RESOLVE_ADDRESSES, q->name, done, q,
		    &number)) == ERR_BUSY && !is_lost)
			loop_run_once(&loop, 100);
		if (err == ERR_OK)
			waiting++;
		else
			printf("%s %s error %d\n", q->type, q->name, err);
	}
	while (waiting > 0 && !is_lost) {
		loop_run_once(&loop, 500);
		resolver_tick(&resolver, io_now_ms());
	}
	resolver_end(&resolver);
	return 0;
}
