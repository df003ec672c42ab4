/*
 * Reports to senders: which is due, storing it as a message like any other, and noting that it was. Run by postern-spool's loop; the
 * composing and storing by its commit threads. Invariant: a report is on stable storage before the state says that it was made,
 * so that a crash may repeat one and never loses one.
 */
#include "notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "active.h"
#include "conf.h"
#include "err.h"
#include "format.h"
#include "io.h"
#include "link.h"
#include "log.h"
#include "name.h"
#include "queue.h"
#include "report.h"
#include "settle.h"
#include "spooler.h"
#include "str.h"
#include "trace.h"
#include "transaction.h"

#define REPORT_MAX (64u << 20)
#define RETRY_MS 1000

static const char *const kinds[] = { [REPORT_FAILURE] = "failure", [REPORT_DELAY] = "delay", [REPORT_SUCCESS] = "success" };

/* One report on its way. */
struct notice {
	struct report		 report;	/* its pointers go into the active message, or here */
	char			 id[SPOOL_ID_TEXT];
	char			 hostname[256], to[ADDR_TEXT];
	struct transaction	 transaction;
	struct buf		 text;
	uint64_t		 size;		/* octets of the report itself */
	size_t			*indexes;
};

static bool
is_about(const struct active *a, enum report_kind kind, size_t i)
{
	const struct state_recipient *r = &a->state.recipients[i];

	switch (kind) {
	case REPORT_FAILURE:
		return r->status == RECIPIENT_BOUNCED;
	case REPORT_SUCCESS:
		return r->is_success_due;
	case REPORT_DELAY:
		return a->is_warning && r->status == RECIPIENT_WAITING && settle_asks(a->envelope.recipients[i].notify, DSN_NOTIFY_DELAY);
	}
	return false;
}

static bool
has_any(const struct active *a, enum report_kind kind)
{
	for (size_t i = 0; i < a->envelope.nrecipients; i++)
		if (is_about(a, kind, i))
			return true;
	return false;
}

bool
notice_is_due(const struct active *a)
{
	return has_any(a, REPORT_FAILURE) || has_any(a, REPORT_SUCCESS) || has_any(a, REPORT_DELAY);
}

static void
free_notice(struct active *a)
{
	struct notice *n = a->notice;

	transaction_end(&n->transaction);
	buf_free(&n->text);
	free(n->indexes);
	free(n);
	a->notice = NULL;
}

/* The octets of the original that it may quote. */
static int
read_quote(const struct active *a, uint8_t *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t done = pread(a->fd, p + got, n - got, (off_t)(a->envelope.message_offset + got));

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return ERR_SYSTEM;
		got += (size_t)done;
	}
	return ERR_OK;
}

static int
put_file(struct notice *n, const struct buf *message, const struct report_needs *needs)
{
	char first[FORMAT_FIRST_LINE + 1];
	int err;

	format_put_first_line(first, 0, NULL, false);
	if ((err = buf_put(&n->text, first, FORMAT_FIRST_LINE)) != ERR_OK ||
	    (err = format_put_start(&n->text, n->id, NOTICE_ACCOUNT, NULL, 0, 0, n->report.now_us)) != ERR_OK ||
	    (err = format_put_sender(&n->text, "", NULL, NULL, needs->body_8bit, needs->smtputf8)) != ERR_OK ||
	    (err = format_put_recipient(&n->text, n->to, "NEVER", NULL)) != ERR_OK || (err = format_put_end(&n->text)) != ERR_OK)
		return err;
	return buf_put(&n->text, message->data, message->len);
}

/* In a commit thread. Nothing of the message is under way, so that its state stays as it is meanwhile. */
static int
perform(void *owner)
{
	struct active *a = owner;
	struct notice *n = a->notice;
	size_t size = report_quote_size(&a->envelope);
	uint8_t *quote = malloc(size != 0 ? size : 1);
	struct report_needs needs;
	struct buf message;
	int err;

	buf_init(&message, REPORT_MAX);
	n->report.message = quote;
	n->report.message_len = size;
	err = quote == NULL ? ERR_NOMEM : read_quote(a, quote, size);
	if (err == ERR_OK && (err = report_compose(&n->report, &message, &needs)) == ERR_OK)
		err = put_file(n, &message, &needs);
	n->size = message.len;
	/* From: is ours, and of no client. */
	n->transaction.is_from_judged = true;
	if (err == ERR_OK)
		err = transaction_commit(&n->transaction, &n->text);
	a->error = err == ERR_SYSTEM || err == ERR_FULL ? n->transaction.error : ENOMEM;
	buf_free(&message);
	free(quote);
	return err;
}

/* The state says from now on that it was made. */
static void
note_done(struct active *a, enum report_kind kind)
{
	for (size_t i = 0; i < a->envelope.nrecipients; i++) {
		struct state_recipient *r = &a->state.recipients[i];

		if (kind == REPORT_FAILURE && r->status == RECIPIENT_BOUNCED)
			r->status = RECIPIENT_REPORTED;
		else if (kind == REPORT_SUCCESS)
			r->is_success_due = false;
	}
	if (kind == REPORT_DELAY) {
		a->is_warning = false;
		a->state.warned_us = io_now_us();
	}
	a->is_dirty = true;
}

static void
note_stored(struct active *a)
{
	struct spooler *sp = a->sp;
	struct notice *n = a->notice;
	enum report_kind kind = n->report.kind;
	char size[21];

	trace_event(sp, n->id, 0, "accepted", "account", NOTICE_ACCOUNT, "sender", "", "size", str_put_u64(size, n->size),
	    "recipients", "1", "about", a->id, NULL);
	trace_event(sp, n->id, 0, "recipient", "to", n->to, "notify", "NEVER", NULL);
	trace_event(sp, a->id, a->envelope.session, "reported", "kind", kinds[kind], "report", n->id, "to", n->to, NULL);
	log_event(LOG_LEVEL_INFO, a->envelope.session, "report.stored", "id", a->id, "kind", kinds[kind], "report", n->id, "to", n->to, NULL);
	if (waiting_add(&sp->waiting, NOTICE_ACCOUNT, n->size) != ERR_OK || queue_add(sp, n->transaction.name, false) != ERR_OK)
		log_error("spool.no_memory", "id", n->id, NULL);
	link_tell_usage(sp);
}

static int begin(struct active *a, enum report_kind kind, const char *to, bool is_copy);

static void
finish(void *owner)
{
	struct active *a = owner;
	const char *postmaster = a->sp->service.conf.delivery_postmaster;
	enum report_kind kind = a->notice->report.kind;
	bool is_copy = a->notice->report.is_copy;

	if (a->job.err != ERR_OK && !is_copy) {
		if (a->retry_ms == 0)
			log_event(LOG_LEVEL_ERROR, a->envelope.session, "report.not_stored", "id", a->id, "kind", kinds[kind], "error",
			    strerror(a->error), "hint", "it is tried again each second", NULL);
		free_notice(a);
		a->retry_ms = io_now_ms() + RETRY_MS;
		return;
	}
	/* The sender has been told: for a copy that finds no room he is not told again. */
	if (a->job.err == ERR_OK)
		note_stored(a);
	else
		log_error("report.not_stored", "id", a->id, "kind", "copy", "error", strerror(a->error), NULL);
	free_notice(a);
	a->retry_ms = 0;
	if (kind == REPORT_FAILURE && !is_copy && postmaster[0] != 0 && strcasecmp(postmaster, a->envelope.sender) != 0) {
		if (begin(a, kind, postmaster, true) == ERR_OK)
			return;
		log_error("report.not_stored", "id", a->id, "kind", "copy", "error", "out of memory", NULL);
	}
	note_done(a, kind);
	active_step(a);
}

static int
begin_transaction(struct active *a, struct notice *n)
{
	struct spooler *sp = a->sp;
	struct name name = { .session = 0 };
	char file[SPOOL_NAME_MAX];

	if (id_next(&sp->ids, io_now_us(), n->id, &n->report.now_us) != ERR_OK)
		return ERR_SYSTEM;
	name.seconds = n->report.now_us / 1000000;
	memcpy(name.id, n->id, sizeof(name.id));
	name_put(file, &name, n->hostname);
	return transaction_begin(&n->transaction, &sp->dirs, &sp->new_sync, sp->digest, file);
}

static int
begin(struct active *a, enum report_kind kind, const char *to, bool is_copy)
{
	struct notice *n = calloc(1, sizeof(*n));
	int64_t left = a->expires_ms - (int64_t)io_now_ms();
	int err;

	if (n == NULL)
		return ERR_NOMEM;
	a->notice = n;
	*n = (struct notice){ .transaction.fd = -1 };
	buf_init(&n->text, REPORT_MAX + 4096);
	memcpy(n->hostname, a->sp->service.conf.hostname, sizeof(n->hostname));
	if ((n->indexes = calloc(a->envelope.nrecipients, sizeof(*n->indexes))) == NULL)
		err = ERR_NOMEM;
	else if ((err = str_copy(n->to, sizeof(n->to), to, strlen(to))) == ERR_OK)
		err = begin_transaction(a, n);
	if (err != ERR_OK) {
		free_notice(a);
		return err;
	}
	n->report = (struct report){ .kind = kind, .id = n->id, .hostname = n->hostname, .now_us = n->report.now_us, .to = n->to,
	    .is_copy = is_copy, .envelope = &a->envelope, .state = &a->state, .indexes = n->indexes,
	    .until_us = io_now_us() + (left > 0 ? 1000 * (uint64_t)left : 0) };
	for (size_t i = 0; i < a->envelope.nrecipients; i++)
		if (is_about(a, kind, i))
			n->indexes[n->report.n++] = i;
	a->job = (struct job){ .owner = a, .perform = perform, .finish = finish };
	pool_submit(&a->sp->pool, &a->job, JOB_CALL);
	return ERR_OK;
}

int
notice_begin(struct active *a)
{
	enum report_kind kind = has_any(a, REPORT_FAILURE) ? REPORT_FAILURE : has_any(a, REPORT_SUCCESS) ? REPORT_SUCCESS : REPORT_DELAY;

	return begin(a, kind, a->envelope.sender, false);
}
