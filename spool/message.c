/*
 * The life of a message in postern-spool: opened, taken, committed or dropped; what waits for the disk goes to the commit
 * threads, what waits for auth to the link. Run by the loop, which owns every message that has no job under way.
 * Invariant: a committed message ends in exactly one verdict, after its job; an open one leaves nothing behind.
 */
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.h"
#include "err.h"
#include "format.h"
#include "io.h"
#include "keys_link.h"
#include "link.h"
#include "log.h"
#include "name.h"
#include "session.h"
#include "spooler.h"
#include "str.h"
#include "tally.h"
#include "trace_message.h"

#define FLUSH_AT (256 * 1024 - IPC_DATA_MAX)	/* octets that gather in memory before they go to the file */
#define FROM_PATIENCE_MS 10000		/* for auth's answer, from COMMIT on */

static const char *const reasons[] = {
	[COMMIT_STORED] = "none", [COMMIT_NO_STORAGE] = "no_storage", [COMMIT_TOO_BIG] = "too_big",
	[COMMIT_BAD_OCTETS] = "bad_octets", [COMMIT_MALFORMED] = "malformed",
	[COMMIT_SENDER_NOT_ALLOWED] = "sender_not_allowed", [COMMIT_NO_RECIPIENTS] = "no_recipients",
	[COMMIT_TWO_FROM] = "two_from_fields", [COMMIT_BAD_FROM] = "bad_from_field", [COMMIT_LOOP] = "loop",
	[COMMIT_LOGIN_VOID] = "login_void",
	[COMMIT_ERROR] = "error",
};

struct message *
message_find(struct spooler *sp, uint64_t session, uint32_t t)
{
	struct message *m = sp->messages;

	while (m != NULL && (m->session_id != session || m->t != t || m->is_abandoned))
		m = m->next;
	return m;
}

static void
forget(struct message *m)
{
	if (m->next != NULL)
		m->next->previous = m->previous;
	if (m->previous != NULL)
		m->previous->next = m->next;
	else
		m->sp->messages = m->next;
	if (m->session != NULL)
		m->session->message = NULL;
	transaction_end(&m->transaction);
	assembly_free(&m->assembly);
	buf_free(&m->addresses);
	free(m);
}

static void
log_verdict(const struct message *m, enum commit_verdict verdict)
{
	char size[21], recipients[21], ms[21], t[21];

	str_put_u64(size, m->assembly.taken);
	str_put_u64(recipients, m->nrecipients);
	str_put_u64(ms, io_now_ms() - m->opened_ms);
	str_put_u64(t, m->t);
	if (verdict == COMMIT_STORED)
		log_event(LOG_LEVEL_INFO, m->session_id, "message.stored", "id", m->id, "account", m->account, "transaction", t,
		    "size", size, "recipients", recipients, "ms", ms, NULL);
	else
		log_event(LOG_LEVEL_INFO, m->session_id, "message.refused", "reason", reasons[verdict], "account", m->account,
		    "transaction", t, "size", size, "recipients", recipients, "ms", ms, NULL);
}

/* One message more waits, and auth is told. */
static void
count_stored(struct message *m)
{
	if (waiting_add(&m->sp->waiting, m->account, m->transaction.size - m->envelope_size) != ERR_OK ||
	    queue_add(m->sp, m->transaction.name, false) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, m->session_id, "spool.no_memory", "id", m->id, NULL);
	link_tell_usage(m->sp);
}

/*
 * No message comes of it, which auth need not count for the limits of an hour: said before its worker hears of it. One whose file could
 * not be removed may yet be delivered.
 */
static void
tell_refused(const struct message *m)
{
	if (m->has_envelope && !m->transaction.stuck)
		link_tell_refused(m->sp, m->session_id, m->t);
}

/* The verdict is final: tells whoever asks, now or later. */
static void
conclude(struct message *m, enum commit_verdict verdict)
{
	struct session *s = m->session, *asking = session_find(m->sp, m->session_id);
	bool stored = verdict == COMMIT_STORED;

	log_verdict(m, verdict);
	if (stored) {
		trace_note_accepted(m);
		count_stored(m);
	} else {
		trace_note_refused(m, reasons[verdict]);
		tell_refused(m);
	}
	tally_add((enum metric)(METRIC_MESSAGES_STORED + (verdict <= COMMIT_ERROR ? verdict : COMMIT_ERROR)), 1);
	if (stored)
		tally_add_commit(m->assembly.taken, io_now_ms() - m->committed_ms);
	if (s != NULL)
		session_answer_commit(s, m, verdict);
	else if (outcome_note(&m->sp->outcomes, m->session_id, m->t, stored, stored ? m->id : "", io_now_ms()) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, m->session_id, "spool.no_memory", "id", m->id, NULL);
	if (asking != NULL && asking != s && asking->asks && asking->asked_t == m->t)
		session_answer_outcome(asking, m->t, stored, stored ? m->id : "");
	forget(m);
}

/* It was never committed: nobody is told. */
static void
break_off(struct message *m)
{
	trace_note_broken_off(m);
	forget(m);
}

/* Does the next thing that can be done; what is waited for calls it again. */
static void
advance(struct message *m)
{
	struct assembly *a = &m->assembly;

	if (m->job.kind != JOB_NONE)
		return;
	if (m->is_committed && a->fault == COMMIT_STORED && m->sp->is_low)
		assembly_fail(a, COMMIT_NO_STORAGE);
	if (m->is_committed && a->fault == COMMIT_STORED && m->from == FROM_LOST && a->check_header)
		assembly_fail(a, COMMIT_ERROR);
	if (m->is_abandoned || a->fault != COMMIT_STORED) {
		if (m->transaction.fd >= 0)
			pool_submit(&m->sp->pool, &m->job, JOB_DISCARD);
		else if (m->is_abandoned)
			break_off(m);
		else if (m->is_committed)
			conclude(m, a->fault);
		return;
	}
	if (!m->is_committed) {
		if (a->out.len < FLUSH_AT)
			return;
		session_pause(m->session);
		pool_submit(&m->sp->pool, &m->job, JOB_WRITE);
	} else if (m->from != FROM_ASKED && m->from != FROM_UNSENT) {
		pool_submit(&m->sp->pool, &m->job, JOB_COMMIT);
	}
}

/* Names the file and begins it. A fault on an error. */
static void
begin_file(struct message *m, const struct session *s, const struct envelope *e)
{
	struct assembly *a = &m->assembly;
	struct header_repair repair = { .id = m->id, .host = m->host, .sender = m->sender, .tls = s->tls, .local = s->local,
	    .smtputf8 = e->smtputf8 };
	struct name name = { .session = s->id, .t = m->t };
	char text[SPOOL_NAME_MAX];

	if (s->sp->service.conf.received_client != 0)
		repair.client = s->client;
	if (id_next(&m->sp->ids, io_now_us(), m->id, &repair.arrival_us) != ERR_OK) {
		assembly_fail(a, COMMIT_ERROR);
		return;
	}
	name.seconds = repair.arrival_us / 1000000;
	memcpy(name.id, m->id, sizeof(m->id));
	name_put(text, &name, m->host);
	if (transaction_begin(&m->transaction, &m->sp->dirs, &m->sp->new_sync, m->sp->digest, text) != ERR_OK)
		assembly_fail(a, COMMIT_ERROR);
	else
		assembly_begin(a, &repair, m->account, m->credential, s->id, m->t, &e->lines);
	m->envelope_size = a->out.len;
}

struct message *
message_open(struct session *s, struct envelope *e, uint32_t t)
{
	struct message *m = calloc(1, sizeof(*m));
	struct envelope none = { .is_pending = false };

	if (m == NULL)
		return NULL;
	/* One that was refused may be opened only now, while the envelope of the next is here: that one stays. */
	if (!e->is_pending || e->t != t)
		e = &none;
	*m = (struct message){ .next = s->sp->messages, .sp = s->sp, .session = s, .session_id = s->id, .t = t,
	    .nrecipients = e->nrecipients, .opened_ms = io_now_ms(), .transaction.fd = -1 };
	m->job = (struct job){ .transaction = &m->transaction, .data = &m->assembly.out, .owner = m };
	memcpy(m->account, s->account, sizeof(m->account));
	memcpy(m->credential, s->credential, sizeof(m->credential));
	memcpy(m->sender, e->sender, sizeof(m->sender));
	memcpy(m->host, s->sp->service.conf.hostname, sizeof(m->host));
	m->assembly.limit = e->message_size;
	m->assembly.check_header = e->check_header;
	/* Signatures are for those only whose From was judged. */
	m->assembly.asks_from = e->check_header || keys_link_is_on(m->sp);
	m->assembly.repair_lf = e->repair_lf;
	m->has_envelope = e->is_pending && !e->is_broken && format_is_value(m->account);
	if (!m->has_envelope)
		assembly_fail(&m->assembly, COMMIT_ERROR);
	else if (e->nrecipients == 0)
		assembly_fail(&m->assembly, COMMIT_NO_RECIPIENTS);
	else
		begin_file(m, s, e);
	m->addresses = e->addresses;
	buf_init(&e->addresses, 0);
	envelope_drop(e);
	trace_note_session(s);
	if (m->next != NULL)
		m->next->previous = m;
	s->sp->messages = m;
	s->message = m;
	return m;
}

static void
ask_from(struct message *m)
{
	if (m->assembly.from != NULL && m->from == FROM_UNASKED) {
		m->assembly.from->session = m->session_id;
		m->assembly.from->t = m->t;
		link_ask_from(m->sp, m);
	}
}

void
message_take(struct message *m, const uint8_t *p, size_t n)
{
	assembly_take(&m->assembly, p, n);
	ask_from(m);
	advance(m);
}

void
message_commit(struct message *m)
{
	char number[21];

	/* As after a restart of this service between the envelope and OPEN: nothing is lost, the client tries again. */
	if (!m->has_envelope)
		log_event(LOG_LEVEL_WARNING, m->session_id, "envelope.missing", "transaction", str_put_u64(number, m->t), NULL);
	m->is_committed = true;
	m->committed_ms = io_now_ms();
	assembly_end(&m->assembly);
	ask_from(m);
	advance(m);
}

void
message_leave(struct message *m, enum abort_reason reason)
{
	m->session->message = NULL;
	m->session = NULL;
	if (!m->is_committed) {
		m->is_abandoned = true;
		m->why = reason;
		tell_refused(m);
		advance(m);
	}
}

static void
log_failure(const struct message *m, enum log_level level, const char *event)
{
	log_event(level, m->session_id, event, "id", m->id, "file", m->transaction.name, "call", m->transaction.failed, "error",
	    strerror(m->transaction.error), NULL);
}

void
message_finish_job(struct message *m)
{
	enum job_kind kind = m->job.kind;
	struct session *s = m->session;

	m->job.kind = JOB_NONE;
	if (m->job.err != ERR_OK) {
		log_failure(m, LOG_LEVEL_ERROR, "spool.write_failed");
		if (m->transaction.stuck)
			log_failure(m, LOG_LEVEL_ALARM, "spool.refused_message_remains");
		assembly_fail(&m->assembly, m->job.err == ERR_FULL ? COMMIT_NO_STORAGE : COMMIT_ERROR);
		buf_free(&m->assembly.out);
	}
	if (kind == JOB_COMMIT) {
		conclude(m, m->assembly.fault);
		return;
	}
	advance(m);
	if (s != NULL)
		session_resume(s);
}

void
message_judge(struct message *m, enum header_verdict verdict)
{
	if (m->from != FROM_ASKED)
		return;
	m->from = FROM_ALLOWED;
	free(m->assembly.from);
	m->assembly.from = NULL;
	m->transaction.is_from_judged = verdict == HEADER_ALLOWED && m->assembly.is_from_known;
	if (verdict == HEADER_LOGIN_VOID)
		assembly_fail(&m->assembly, COMMIT_LOGIN_VOID);
	else if (verdict == HEADER_UNAVAILABLE)
		assembly_fail(&m->assembly, COMMIT_ERROR);
	else if (verdict != HEADER_ALLOWED && m->assembly.check_header)
		assembly_fail(&m->assembly, COMMIT_SENDER_NOT_ALLOWED);
	advance(m);
}

void
message_lose_link(struct message *m)
{
	if (m->from != FROM_ASKED && m->from != FROM_UNSENT)
		return;
	m->from = FROM_LOST;
	advance(m);
}

void
message_tick(struct message *m, uint64_t now_ms)
{
	if (m->is_committed && now_ms - m->committed_ms > FROM_PATIENCE_MS)
		message_lose_link(m);
}
