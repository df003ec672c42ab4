/*
 * The filters of the queue commands: different ones must all match, the same one repeated means either. Runs in
 * smtpadm; pure but for the clock and complaints about the command line.
 */
#include "filter.h"

#include <fnmatch.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "out.h"
#include "str.h"

static const char *const states[] = { "active", "deferred", "held", "failed" };

static int
parse_age(const char *text, uint64_t now_us, uint64_t *since_us, const char *option)
{
	uint64_t ms;

	if (text == NULL)
		return EX_OK;
	if (str_parse_duration(text, &ms) != ERR_OK || ms > now_us / 1000) {
		out_fix("--%s 30s, --%s 5m, --%s 2h, --%s 4d", option, option, option, option);
		return out_fail(
		    EX_USAGE, "usage", "--%s takes a time such as 30s, 5m, 2h or 4d, not '%s'", option, text);
	}
	*since_us = now_us - ms * 1000;
	return EX_OK;
}

static int
parse_sizes(struct filter *f)
{
	bool has_larger = false;
	const char *text;
	uint64_t octets;
	size_t i = 0;

	while ((text = admin_next(f->a, OPT_SIZE, &i)) != NULL) {
		if ((text[0] != '+' && text[0] != '-') || str_parse_size(text + 1, &octets) != ERR_OK) {
			out_fix("--size +1M for larger ones, --size -10K for smaller ones");
			return out_fail(
			    EX_USAGE, "usage", "--size takes +N (larger) or -N (smaller) such as +1M, not '%s'", text);
		}
		/* One of each is a range; of two of a kind one alone could mean something. */
		if (text[0] == '+' ? has_larger : f->smaller != UINT64_MAX) {
			out_fix("--size %s alone, or --size +N --size -M for what lies between", text);
			return out_fail(EX_USAGE, "usage", "--size %cN stands twice", text[0]);
		}
		has_larger |= text[0] == '+';
		if (text[0] == '+')
			f->larger = octets;
		else
			f->smaller = octets;
	}
	return EX_OK;
}

static int
check_states(const struct filter *f)
{
	const char *text;
	size_t i = 0;

	while ((text = admin_next(f->a, OPT_STATE, &i)) != NULL) {
		size_t s = 0;

		while (s < 4 && strcmp(states[s], text) != 0)
			s++;
		if (s == 4) {
			out_fix("--state active, --state deferred, --state held or --state failed");
			return out_fail(
			    EX_USAGE, "usage", "--state is active, deferred, held or failed, not '%s'", text);
		}
	}
	return EX_OK;
}

int
filter_open(struct filter *f, const struct admin *a)
{
	static const enum option_id ids[] = { OPT_ID, OPT_ACCOUNT, OPT_FROM, OPT_TO, OPT_DOMAIN, OPT_STATE,
	    OPT_OLDER, OPT_NEWER, OPT_SIZE, OPT_CREDENTIAL, OPT_ROUTE };
	int code;

	*f = (struct filter){ .a = a, .now_us = io_now_us(), .smaller = UINT64_MAX, .reason_is_text = f->reason_is_text,
	    .any = a->nwords != 0 || (!f->reason_is_text && admin_has(a, OPT_REASON)) };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		f->any = f->any || admin_has(a, ids[i]);
	if (!f->any && !admin_has(a, OPT_ALL)) {
		out_fix("--all for every message, or a filter: smtpadm queue --help");
		return out_fail(EX_USAGE, "no_filter", "which messages? There is no filter");
	}
	if ((code = parse_age(admin_value(a, OPT_OLDER), f->now_us, &f->older_us, "older")) != EX_OK ||
	    (code = parse_age(admin_value(a, OPT_NEWER), f->now_us, &f->newer_us, "newer")) != EX_OK ||
	    (code = parse_sizes(f)) != EX_OK)
		return code;
	return check_states(f);
}

static bool
matches_text(const struct filter *f, enum option_id id, const char *text)
{
	const char *glob;
	size_t i = 0;

	while ((glob = admin_next(f->a, id, &i)) != NULL)
		if (fnmatch(glob, text != NULL ? text : "", FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	return !admin_has(f->a, id);
}

static bool
matches_recipient(const struct filter *f, enum option_id id, const struct spool_envelope *e)
{
	if (!admin_has(f->a, id))
		return true;
	for (size_t i = 0; i < e->nrecipients; i++) {
		const char *address = e->recipients[i].address, *at = strrchr(address, '@');

		if (matches_text(f, id, id == OPT_TO ? address : at != NULL ? at + 1 : ""))
			return true;
	}
	return false;
}

static bool
matches_route(const struct filter *f, const struct queue_message *m)
{
	if (!admin_has(f->a, OPT_ROUTE))
		return true;
	for (size_t i = 0; i < m->envelope.nrecipients; i++)
		if (matches_text(f, OPT_ROUTE, queue_route(m, i)))
			return true;
	return false;
}

static bool
has_reason(const char *glob, const struct queue_message *m)
{
	const char *reason = queue_reason(m);
	char wide[512];

	if (str_fmt(wide, sizeof(wide), strpbrk(glob, "*?[") != NULL ? "%s" : "*%s*", glob) != ERR_OK)
		return false;
	if (reason != NULL && fnmatch(wide, reason, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
		return true;
	for (size_t i = 0; i < m->envelope.nrecipients; i++)
		if ((reason = queue_reason_of(m, i)) != NULL && fnmatch(wide, reason, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	return false;
}

/* A reason is a sentence: without wildcards a part of it is enough. */
static bool
matches_reason(const struct filter *f, const struct queue_message *m)
{
	const char *glob;
	size_t i = 0;

	if (f->reason_is_text || !admin_has(f->a, OPT_REASON))
		return true;
	while ((glob = admin_next(f->a, OPT_REASON, &i)) != NULL)
		if (has_reason(glob, m))
			return true;
	return false;
}

static bool
matches_word(const struct filter *f, const char *id)
{
	size_t i = 0;

	while (i < f->a->nwords && strcmp(f->a->words[i], id) != 0)
		i++;
	return f->a->nwords == 0 || i < f->a->nwords;
}

bool
filter_matches(const struct filter *f, const struct queue_message *m)
{
	const struct spool_envelope *e = &m->envelope;
	const char *sender = e->sender != NULL && e->sender[0] == 0 ? "<>" : e->sender;

	return matches_word(f, e->id) && matches_text(f, OPT_ID, e->id) && matches_text(f, OPT_ACCOUNT, e->account) &&
	       matches_text(f, OPT_FROM, sender) && matches_text(f, OPT_STATE, queue_state(m)) &&
	       matches_text(f, OPT_CREDENTIAL, e->credential) && matches_route(f, m) && matches_reason(f, m) &&
	       matches_recipient(f, OPT_TO, e) && matches_recipient(f, OPT_DOMAIN, e) &&
	       (f->older_us == 0 || (e->arrival_us != 0 && e->arrival_us < f->older_us)) &&
	       (f->newer_us == 0 || e->arrival_us >= f->newer_us) && (f->larger == 0 || e->message_size > f->larger) &&
	       (f->smaller == UINT64_MAX || e->message_size < f->smaller);
}
