/*
 * ETRN (RFC 1985): what waits for a domain is tried now. Run by postern-spool's loop. Invariant: auth has said that the
 * session's account may speak for the domain before anything of it is counted or started.
 */
#include "etrn.h"

#include <string.h>

#include "conf.h"
#include "destination.h"
#include "err.h"
#include "io.h"
#include "link.h"
#include "log.h"
#include "queue.h"
#include "session.h"
#include "spooler.h"
#include "str.h"

#define AGAIN_MS 30000	/* a destination is not hurried more often, whoever asks */

/* What waits: for the domain, and where it can't be told from what is for others. */
struct found {
	uint32_t	certain, uncertain;
};

static void
answer(struct session *s, enum etrn_verdict verdict, uint32_t messages)
{
	struct ipc_etrn_answer a = { .verdict = verdict, .messages = verdict == ETRN_COUNTED ? messages : 0 };
	static const char *const words[] = {
		[ETRN_STARTED] = "started", [ETRN_NONE] = "none", [ETRN_PENDING] = "pending", [ETRN_COUNTED] = "counted",
		[ETRN_UNABLE] = "unable", [ETRN_NOT_ALLOWED] = "not_allowed", [ETRN_LOGIN_VOID] = "login_void",
	};
	char number[21];

	log_event(LOG_LEVEL_INFO, s->id, "etrn", "account", s->account, "domain", s->etrn.domain, "result",
	    words[verdict], "messages", verdict == ETRN_COUNTED ? str_put_u64(number, messages) : NULL, NULL);
	s->asks_etrn = false;
	s->state = IPC_STATE_GRANTED;
	session_answer_etrn(s, &a);
}

/* The same domain, or with `below` one that ends with a dot and it. */
static bool
is_domain(const char *domain, const char *wanted, bool below)
{
	size_t n = strlen(domain), m = strlen(wanted);

	return str_is_equal_nocase(domain, n, wanted, m) ||
	    (below && n > m && domain[n - m - 1] == '.' && str_is_equal_nocase(domain + n - m, m, wanted, m));
}

static void
hurry(struct spooler *sp, struct destination *d, uint64_t now_ms)
{
	if (d->hurried_ms != 0 && now_ms < d->hurried_ms + AGAIN_MS)
		return;
	d->hurried_ms = now_ms;
	destination_clear(d);
	for (struct part *p = d->parts; p != NULL; p = p->next)
		if (p->place == PART_WAITING)
			schedule_wait(&sp->queue.schedule, p, now_ms, now_ms);
	schedule_review(&sp->queue.schedule, d, now_ms);
}

/* Hurries the destinations that the domain's mail goes to, and counts what waits there. */
static void
start(struct spooler *sp, const struct ipc_etrn *m, const struct conf_route *r, struct found *f)
{
	bool is_alone = r->to_domains[0] != 0 && is_domain(r->to_domains, m->domain, false) && !m->subdomains;
	uint64_t now = io_now_ms();

	*f = (struct found){ .certain = 0 };
	for (size_t i = 0; i < DESTINATION_BUCKETS; i++)
		for (struct destination *d = sp->queue.destinations.buckets[i]; d != NULL; d = d->next) {
			bool is_mx = d->domain[0] != 0 && is_domain(d->domain, m->domain, m->subdomains);

			if (d->is_ours || !(is_mx || (d->domain[0] == 0 && strcmp(d->name, r->name) == 0)))
				continue;
			for (const struct part *p = d->parts; p != NULL; p = p->next)
				*(is_mx || is_alone ? &f->certain : &f->uncertain) += 1;
			hurry(sp, d, now);
		}
}

static enum etrn_verdict
judge(struct session *s, uint32_t *messages)
{
	struct spooler *sp = s->sp;
	const struct ipc_etrn *m = &s->etrn;
	const struct conf_route *r = conf_find_route(&sp->service.conf, "", "", m->domain);
	/* Those that are not routed yet may be for it. */
	bool is_routing = sp->queue.oldest != NULL || sp->queue.reading != 0;
	struct found f;

	*messages = 0;
	if (sp->draining || sp->queue.is_paused || r == NULL)
		return ETRN_UNABLE;
	start(sp, m, r, &f);
	*messages = f.certain;
	if (f.certain + f.uncertain == 0)
		return is_routing ? ETRN_STARTED : ETRN_NONE;
	if (f.uncertain == 0 && !is_routing && !m->subdomains)
		return ETRN_COUNTED;
	/* The default route's mail is for the whole world. */
	return f.certain != 0 || r->to_domains[0] != 0 ? ETRN_PENDING : ETRN_STARTED;
}

void
etrn_judge(struct spooler *sp, uint64_t session, enum header_verdict verdict)
{
	struct session *s = session_find(sp, session);
	uint32_t messages = 0;

	if (s == NULL || !s->asks_etrn)
		return;
	switch (verdict) {
	case HEADER_ALLOWED: {
		enum etrn_verdict result = judge(s, &messages);

		answer(s, result, messages);
		return;
	}
	case HEADER_NOT_ALLOWED:
		answer(s, ETRN_NOT_ALLOWED, 0);
		return;
	case HEADER_LOGIN_VOID:
		answer(s, ETRN_LOGIN_VOID, 0);
		return;
	case HEADER_UNAVAILABLE:
		answer(s, ETRN_UNABLE, 0);
		return;
	}
}

void
etrn_ask(struct session *s, const struct ipc_etrn *m)
{
	s->etrn = *m;
	s->asks_etrn = true;
	s->state = IPC_STATE_COMMITTING;
	if (link_ask_etrn(s->sp, s->id, m->domain) != ERR_OK)
		answer(s, ETRN_UNABLE, 0);
}

void
etrn_lose_link(struct spooler *sp)
{
	for (size_t i = 0; i < SPOOLER_SESSION_BUCKETS; i++)
		for (struct session *s = sp->sessions[i], *next; s != NULL; s = next) {
			next = s->next;
			if (s->asks_etrn)
				answer(s, ETRN_UNABLE, 0);
		}
}
