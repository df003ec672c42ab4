/*
 * DKIM signatures for a message that is to be given out: whether it may have them, reading it, and asking postern-keys. Run by
 * postern-spool's loop; the reading by its commit threads. Invariant: only what auth has judged to be the account's own is signed.
 */
#include "sign.h"

#include <stdlib.h>
#include <string.h>

#include "active.h"
#include "deliver.h"
#include "err.h"
#include "keys_link.h"
#include "spooler.h"
#include "trace.h"

static void
leave_unsigned(struct active *a, const char *domain, const char *why)
{
	a->signing = SIGNING_DONE;
	trace_event(a->sp, a->id, a->envelope.session, "unsigned", "domain", domain, "reason", why, NULL);
}

static int
perform(void *owner)
{
	struct active *a = owner;

	return dkim_read(a->sp->digest, a->fd, a->envelope.message_offset, a->envelope.message_size, &a->dkim);
}

static void
finish(void *owner)
{
	struct active *a = owner;

	a->signing = SIGNING_DONE;
	if (a->job.err != ERR_OK) {
		leave_unsigned(a, NULL, dkim_why(a->job.err));
	} else if (!keys_link_has(a->sp, a->dkim.domain)) {
		leave_unsigned(a, a->dkim.domain, "there is no key for the domain of its From");
	} else {
		a->signing_number = a->sp->next_number++;
		if (keys_link_sign(a->sp, a->signing_number, &a->dkim) == ERR_OK)
			a->signing = SIGNING_ASKED;
		else
			leave_unsigned(a, a->dkim.domain, "out of memory");
	}
	active_step(a);
}

bool
sign_begin(struct active *a)
{
	switch (a->signing) {
	case SIGNING_DONE:
		return true;
	case SIGNING_READING:
	case SIGNING_ASKED:
		return false;
	case SIGNING_UNASKED:
		break;
	}
	if (!a->envelope.is_from_judged) {
		leave_unsigned(a, NULL, "its From was not judged to be the account's own");
		return true;
	}
	if (!keys_link_is_on(a->sp)) {
		leave_unsigned(a, NULL, "there is no key");
		return true;
	}
	a->signing = SIGNING_READING;
	a->job = (struct job){ .owner = a, .perform = perform, .finish = finish };
	pool_submit(&a->sp->pool, &a->job, JOB_CALL);
	return false;
}

/* The selectors of the fields: what stands behind "s=". */
static void
put_selectors(char *to, size_t size, const uint8_t *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i + 3 < len && n + 2 < size; i++) {
		if (p[i] != 's' || p[i + 1] != '=' || i == 0 || (p[i - 1] != ' ' && p[i - 1] != ';' && p[i - 1] != '\t'))
			continue;
		if (n != 0)
			to[n++] = ' ';
		for (i += 2; i < len && p[i] > ' ' && p[i] != ';' && n + 1 < size; i++)
			to[n++] = (char)p[i];
	}
	to[n] = 0;
}

void
deliver_signed(struct spooler *sp, uint64_t number, const uint8_t *fields, size_t len, const char *why)
{
	struct active *a = sp->actives;
	char selectors[128];

	while (a != NULL && (a->signing != SIGNING_ASKED || a->signing_number != number))
		a = a->next;
	if (a == NULL)
		return;
	a->signing = SIGNING_DONE;
	if (len != 0 && len <= RELAY_SIGNATURES_MAX && (a->signatures = malloc(len)) != NULL) {
		memcpy(a->signatures, fields, len);
		a->signatures_len = len;
		put_selectors(selectors, sizeof(selectors), fields, len);
		trace_event(sp, a->id, a->envelope.session, "signed", "domain", a->dkim.domain, "selectors", selectors, NULL);
	} else {
		leave_unsigned(a, a->dkim.domain, len == 0 ? why : "out of memory");
	}
	active_step(a);
}

void
sign_forget(struct active *a)
{
	if (a->signing == SIGNING_ASKED)
		keys_link_forget(a->sp, a->signing_number);
	free(a->signatures);
	a->signatures = NULL;
	a->signatures_len = 0;
	dkim_free(&a->dkim);
}
