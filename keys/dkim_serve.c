/*
 * The link to spool: telling it whose mail is signed, and answering what it wants signed. Run by postern-keys' loop, sandboxed.
 * Invariant: a signature names only a domain that has a key here and stands in the From field that is signed; a question that does not
 * parse is refused and logged, and the next one is read; nothing waits for spool to read.
 */
#include "dkim_serve.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <openssl/err.h>

#include "dkim_key.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "loop.h"
#include "message_dkim.h"
#include "message_relay.h"

#define TEXT_MAX (DKIM_FIELDS_MAX + 2 * RELAY_SIGNATURES_MAX)
#define ANSWER_MAX (RELAY_SIGNATURES_MAX + 64)

static struct {
	struct loop		*loop;
	struct loop_watch	 watch;
	const struct dkim_key	*keys;
	size_t			 n;
	size_t			 told;		/* keys whose domain spool has been told */
	bool			 all_told;
	uint8_t			 answer[ANSWER_MAX];
	struct wire_out		 out;		/* an answer that waits for room; len 0: none */
	bool			 is_writing;	/* the loop looks for room */
} spool = { .watch = { .fd = -1 } };

static uint8_t datagram[IPC_DATAGRAM_MAX];

void
dkim_serve_open(const struct dkim_key *keys, size_t n)
{
	spool.keys = keys;
	spool.n = n;
	spool.watch.fd = -1;
}

void
dkim_serve_close(struct loop *l)
{
	if (spool.watch.fd < 0)
		return;
	loop_remove(l, &spool.watch);
	io_close(&spool.watch.fd);
}

/* While something waits for room, nothing is read: spool's own socket fills up, and spool waits, not we. */
static void
set_writing(bool on)
{
	if (spool.is_writing != on && loop_change(spool.loop, &spool.watch, on ? EPOLLOUT : EPOLLIN) == ERR_OK)
		spool.is_writing = on;
}

static int
send_now(const struct wire_out *w)
{
	int err = ipc_send(spool.watch.fd, w, NULL, 0, false);

	if (err == ERR_BUSY)
		set_writing(true);
	return err;
}

/* The next domains; *told is how many keys they belong to. */
static void
list_domains(struct ipc_dkim_keys *m, size_t *told)
{
	size_t i = spool.told;

	*m = (struct ipc_dkim_keys){ .n = 0 };
	for (; i < spool.n && m->n < DKIM_DOMAINS_MAX; i++)
		if (i == 0 || strcmp(spool.keys[i].name.domain, spool.keys[i - 1].name.domain) != 0)
			memcpy(m->domains[m->n++], spool.keys[i].name.domain, sizeof(m->domains[0]));
	m->is_last = i == spool.n;
	*told = i;
}

static void
tell_domains(void)
{
	static uint8_t data[DKIM_DOMAINS_MAX * (DKIM_DOMAIN_MAX + 2) + 16];
	static struct ipc_dkim_keys m;
	struct wire_out w;
	size_t told;

	while (!spool.all_told) {
		list_domains(&m, &told);
		wire_out_init(&w, data, sizeof(data));
		ipc_put_dkim_keys(&w, &m);
		if (send_now(&w) != ERR_OK)
			return;
		spool.told = told;
		spool.all_told = m.is_last;
	}
}

static void
answer(uint64_t number, enum dkim_verdict verdict, const struct buf *fields)
{
	struct ipc_dkim_sign_answer m = { .number = number, .verdict = verdict, .fields = fields->data, .fields_len = fields->len };

	wire_out_init(&spool.out, spool.answer, sizeof(spool.answer));
	ipc_put_dkim_sign_answer(&spool.out, &m);
	if (send_now(&spool.out) != ERR_BUSY)
		spool.out.len = 0;
}

static int
sign(const struct dkim_key *k, const struct ipc_dkim_sign *m, struct buf *fields)
{
	uint8_t signature[IPC_SIGNATURE_MAX];
	size_t start = fields->len, len;
	struct buf text;
	int err;

	buf_init(&text, TEXT_MAX);
	if ((err = dkim_compose(m, k->name.selector, k->name.algorithm, (uint64_t)time(NULL), fields, &text)) == ERR_OK &&
	    (err = dkim_sign(k, text.data, text.len, signature, &len)) == ERR_OK)
		err = dkim_finish(fields, signature, len);
	buf_free(&text);
	if (err != ERR_OK)
		fields->len = start;
	return err;
}

/* One signature for each key; one that finds no room behind another is left out. */
static enum dkim_verdict
sign_all(const struct ipc_dkim_sign *m, struct buf *fields)
{
	enum dkim_verdict verdict = DKIM_NO_KEY;

	for (size_t i = 0; i < spool.n; i++) {
		int err;

		if (strcmp(spool.keys[i].name.domain, m->domain) != 0)
			continue;
		if ((err = sign(&spool.keys[i], m, fields)) == ERR_OK)
			continue;
		verdict = DKIM_FAILED;
		log_error("dkim.failed", "domain", m->domain, "selector", spool.keys[i].name.selector, "reason",
		    err == ERR_SYSTEM ? ERR_reason_error_string(ERR_peek_last_error()) : err_text(err), NULL);
		ERR_clear_error();
	}
	return fields->len != 0 ? DKIM_SIGNED : verdict;
}

static void
handle_sign(struct ipc_message *got)
{
	enum dkim_verdict verdict = DKIM_REFUSED;
	struct ipc_dkim_sign m;
	struct buf fields;
	int err;

	if ((err = ipc_get_dkim_sign(&got->body, &m)) != ERR_OK) {
		log_event(LOG_LEVEL_ALARM, 0, "spool.bad_frame", "what", err_text(err), "kind", ipc_kind_name(got->kind), NULL);
		return;
	}
	buf_init(&fields, RELAY_SIGNATURES_MAX);
	if ((err = dkim_judge(&m)) == ERR_OK)
		verdict = sign_all(&m, &fields);
	else
		log_event(LOG_LEVEL_ALARM, 0, "dkim.refused", "domain", m.domain, "reason", err == ERR_DENIED ?
		    "the From field has no address of that domain" : "these are no header fields that are signed", NULL);
	answer(m.number, verdict, &fields);
	buf_free(&fields);
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct ipc_message m;
	int err;

	(void)owner;
	if ((events & EPOLLOUT) != 0) {
		set_writing(false);
		tell_domains();
		if (spool.out.len != 0 && send_now(&spool.out) != ERR_BUSY)
			spool.out.len = 0;
	}
	if (spool.is_writing && (events & (EPOLLHUP | EPOLLERR)) == 0)
		return;
	err = ipc_recv(spool.watch.fd, IPC_KEYS_FROM_SPOOL, datagram, sizeof(datagram), false, &m);
	if (err == ERR_OK) {
		handle_sign(&m);
		ipc_message_close(&m);
	} else if (err == ERR_CLOSED || err == ERR_SYSTEM) {
		dkim_serve_close(spool.loop);
	} else if (err != ERR_BUSY) {
		log_event(LOG_LEVEL_ALARM, 0, "spool.bad_frame", "what", err_text(err), NULL);
	}
}

void
dkim_serve_link(struct loop *l, int fd)
{
	dkim_serve_close(l);
	spool.loop = l;
	spool.watch = (struct loop_watch){ .fd = fd, .handle = handle_socket, .owner = &spool };
	spool.told = 0;
	spool.all_told = spool.is_writing = false;
	spool.out = (struct wire_out){ .len = 0 };
	if (loop_add(l, &spool.watch, EPOLLIN) != ERR_OK) {
		log_error("link.failed", "reason", strerror(errno), NULL);
		io_close(&spool.watch.fd);
		return;
	}
	tell_domains();
}
