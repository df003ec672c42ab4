/*
 * The queue in the layout of the classic mailq(1), for people and scripts that know it: what smtpadm prints when it is called by that
 * name. Runs as the owner of the spool and only reads.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "matches.h"
#include "out.h"

#define LINE "%-17s %8s %-19s %s\n"

static void
print_message(const struct queue_message *m)
{
	const struct spool_envelope *e = &m->envelope;
	char id[SPOOL_ID_TEXT + 2], size[24], when[32];
	time_t seconds = (time_t)(e->arrival_us / 1000000);
	struct tm tm;

	/* As there: taken up by delivery, and held. */
	snprintf(id, sizeof(id), "%s%s", e->id, m->folder == SPOOL_CUR && m->state.tries == 0 ? "*" : m->folder == SPOOL_HOLD ? "!" : "");
	snprintf(size, sizeof(size), "%llu", (unsigned long long)e->message_size);
	if (localtime_r(&seconds, &tm) == NULL || strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm) == 0)
		when[0] = 0;
	out_print(LINE, id, size, when, e->sender[0] != 0 ? e->sender : "MAILER-DAEMON");
	if (m->state.hold != NULL && m->folder == SPOOL_HOLD)
		out_print("%*s(%s)\n", 47, "", m->state.hold);
	for (size_t i = 0; i < e->nrecipients; i++) {
		const char *reason = queue_reason_of(m, i);
		enum recipient_status status = m->state.recipients[i].status;

		if (status == RECIPIENT_DELIVERED || status == RECIPIENT_REMOVED)
			continue;
		if (reason != NULL)
			out_print("%*s(%s)\n", 47, "", reason);
		out_print(LINE, "", "", "", e->recipients[i].address);
	}
	printf("\n");
}

static void
print_json(struct matches *ms)
{
	for (size_t i = 0; i < ms->n; i++)
		if (ms->list[i].folder != SPOOL_FAILED)
			queue_put_json(&ms->list[i]);
}

int
cmd_mailq(struct admin *a)
{
	struct matches ms = { .keep = true };
	unsigned long long octets = 0;
	size_t n = 0;
	int code;

	if (a->noptions == ADMIN_OPTIONS_MAX)
		return out_fail(EX_USAGE, "usage", "too many options");
	a->options[a->noptions] = OPT_ALL;
	a->values[a->noptions++] = NULL;
	code = matches_find(&ms, a);
	if (code == EX_OK && out_is_json()) {
		print_json(&ms);
		goto out;
	}
	for (size_t i = 0; i < ms.n && code == EX_OK; i++) {
		const struct queue_message *m = &ms.list[i];

		if (m->err != ERR_OK || m->folder == SPOOL_FAILED)
			continue;
		if (n++ == 0)
			printf(LINE, "----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------");
		print_message(m);
		octets += m->envelope.message_size;
	}
	if (code == EX_OK && n == 0)
		printf("Mail queue is empty\n");
	else if (code == EX_OK)
		printf("-- %llu Kbytes in %zu Request%s.\n", (octets + 1023) / 1024, n, n == 1 ? "" : "s");
out:
	matches_free(&ms);
	return code != EX_OK ? code : ms.corrupt != 0 ? EX_DATAERR : EX_OK;
}
