/*
 * The socket to postern-keys: whose mail it signs is told there, and signatures are asked for. Run by postern-spool's loop.
 * Invariant: a question that was taken up is answered by deliver_signed() once, whatever becomes of keys, or forgotten by its asker;
 * nothing here waits for keys.
 */
#include "keys_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deliver.h"
#include "dkim.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "message_dkim.h"
#include "spooler.h"

#define LATE_MS 10000	/* then the log says that keys does not answer */
#define DOMAINS_MAX 2000	/* as many as keys may have files */

struct keys_question {
	struct keys_question	*next;
	uint64_t		 number, asked_ms;
	bool			 is_sent;
	size_t			 len;
	uint8_t			 datagram[];
};

static uint8_t answer[IPC_SMALL_MAX];

void
keys_link_init(struct spooler *sp)
{
	sp->keys_link = (struct keys_link){ .watch = { .fd = -1 } };
}

static void
free_domains(char **domains, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(domains[i]);
	free(domains);
}

static void
close_link(struct spooler *sp)
{
	struct keys_link *k = &sp->keys_link;

	loop_remove(&sp->loop, &k->watch);
	io_close(&k->watch.fd);
	k->is_writing = false;
	free_domains(k->next_domains, k->next_n);
	k->next_domains = NULL;
	k->next_n = 0;
	for (struct keys_question *q = k->first; q != NULL; q = q->next)
		q->is_sent = false;
}

static void
set_writing(struct spooler *sp, bool on)
{
	struct keys_link *k = &sp->keys_link;

	if (k->is_writing != on && loop_change(&sp->loop, &k->watch, on ? EPOLLIN | EPOLLOUT : EPOLLIN) == ERR_OK)
		k->is_writing = on;
}

/* What has not been sent yet, the oldest first, as far as there is room. A link that has ended says so to the loop. */
static void
send_waiting(struct spooler *sp)
{
	struct keys_link *k = &sp->keys_link;
	int err = ERR_OK;

	for (struct keys_question *q = k->first; q != NULL && err == ERR_OK && k->watch.fd >= 0; q = q->next) {
		struct wire_out w;

		if (q->is_sent)
			continue;
		wire_out_init(&w, q->datagram, q->len);
		w.len = q->len;
		err = ipc_send(k->watch.fd, &w, NULL, 0, false);
		q->is_sent = err == ERR_OK;
	}
	if (k->watch.fd >= 0)
		set_writing(sp, err == ERR_BUSY);
}

/* Takes a question out of the list, or NULL. */
static struct keys_question *
take(struct keys_link *k, uint64_t number)
{
	struct keys_question *previous = NULL, *q = k->first;

	while (q != NULL && q->number != number) {
		previous = q;
		q = q->next;
	}
	if (q == NULL)
		return NULL;
	if (previous != NULL)
		previous->next = q->next;
	else
		k->first = q->next;
	if (k->last == q)
		k->last = previous;
	return q;
}

static int
handle_answer(struct spooler *sp, struct ipc_message *got)
{
	static const char *const words[] = {
		[DKIM_SIGNED] = NULL, [DKIM_NO_KEY] = "the domain has no active key", [DKIM_REFUSED] = "the key service refused it",
		[DKIM_FAILED] = "the key service could not sign",
	};
	struct ipc_dkim_sign_answer m;
	struct keys_question *q;
	int err;

	if ((err = ipc_get_dkim_sign_answer(&got->body, &m)) != ERR_OK)
		return err;
	sp->keys_link.is_late = false;
	/* It may have been given up meanwhile. */
	if ((q = take(&sp->keys_link, m.number)) == NULL)
		return ERR_OK;
	free(q);
	deliver_signed(sp, m.number, m.fields, m.verdict == DKIM_SIGNED ? m.fields_len : 0, words[m.verdict]);
	return ERR_OK;
}

static int
compare(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int
handle_domains(struct spooler *sp, struct ipc_message *got)
{
	static struct ipc_dkim_keys m;
	struct keys_link *k = &sp->keys_link;
	char **grown;
	int err;

	if ((err = ipc_get_dkim_keys(&got->body, &m)) != ERR_OK)
		return err;
	if (k->next_n + m.n > DOMAINS_MAX)
		return ERR_TOOBIG;
	if ((grown = realloc(k->next_domains, (k->next_n + m.n + 1) * sizeof(*grown))) == NULL)
		return ERR_NOMEM;
	k->next_domains = grown;
	for (size_t i = 0; i < m.n; i++) {
		if ((grown[k->next_n] = strdup(m.domains[i])) == NULL)
			return ERR_NOMEM;
		k->next_n++;
	}
	if (!m.is_last)
		return ERR_OK;
	qsort(grown, k->next_n, sizeof(*grown), compare);
	free_domains(k->domains, k->n);
	k->domains = grown;
	k->n = k->next_n;
	k->next_domains = NULL;
	k->next_n = 0;
	k->is_known = true;
	return ERR_OK;
}

static void
handle_socket(void *owner, uint32_t events)
{
	struct spooler *sp = owner;
	struct keys_link *k = &sp->keys_link;
	struct ipc_message m;

	while (k->watch.fd >= 0) {
		int err = ipc_recv(k->watch.fd, IPC_SPOOL_FROM_KEYS, answer, sizeof(answer), false, &m);

		if (err == ERR_BUSY)
			break;
		if (err == ERR_CLOSED || err == ERR_SYSTEM) {
			close_link(sp);
			return;
		}
		if (err == ERR_OK) {
			err = m.kind == IPC_DKIM_KEYS ? handle_domains(sp, &m) : handle_answer(sp, &m);
			ipc_message_close(&m);
		}
		if (err != ERR_OK)
			log_event(LOG_LEVEL_ALARM, 0, "keys.bad_frame", "what", err_text(err), NULL);
	}
	if ((events & EPOLLOUT) != 0 && k->watch.fd >= 0)
		send_waiting(sp);
}

void
keys_link_replace(struct spooler *sp, int fd)
{
	struct keys_link *k = &sp->keys_link;

	if (k->watch.fd >= 0)
		close_link(sp);
	k->is_expected = true;
	k->watch = (struct loop_watch){ .fd = fd, .handle = handle_socket, .owner = sp };
	if (loop_add(&sp->loop, &k->watch, EPOLLIN) != ERR_OK) {
		log_error("link.failed", "with", "keys", "reason", strerror(errno), NULL);
		io_close(&k->watch.fd);
		return;
	}
	send_waiting(sp);
}

bool
keys_link_is_on(const struct spooler *sp)
{
	const struct keys_link *k = &sp->keys_link;

	return k->is_known ? k->n != 0 : k->is_expected;
}

bool
keys_link_has(const struct spooler *sp, const char *domain)
{
	const struct keys_link *k = &sp->keys_link;

	if (!k->is_known)
		return k->is_expected;
	return k->n != 0 && bsearch(&domain, k->domains, k->n, sizeof(*k->domains), compare) != NULL;
}

int
keys_link_sign(struct spooler *sp, uint64_t number, const struct dkim_input *in)
{
	struct ipc_dkim_sign m = { .number = number, .fields = in->fields.data, .fields_len = in->fields.len };
	size_t size = sizeof(m) + in->fields.len + 16;
	struct keys_link *k = &sp->keys_link;
	struct keys_question *q = malloc(sizeof(*q) + size);
	struct wire_out w;

	if (q == NULL)
		return ERR_NOMEM;
	memcpy(m.domain, in->domain, sizeof(m.domain));
	memcpy(m.body_hash, in->body_hash, sizeof(m.body_hash));
	*q = (struct keys_question){ .number = number, .asked_ms = io_now_ms() };
	wire_out_init(&w, q->datagram, size);
	ipc_put_dkim_sign(&w, &m);
	q->len = w.len;
	if (k->last != NULL)
		k->last->next = q;
	else
		k->first = q;
	k->last = q;
	if (!k->is_writing)
		send_waiting(sp);
	return ERR_OK;
}

void
keys_link_forget(struct spooler *sp, uint64_t number)
{
	free(take(&sp->keys_link, number));
}

void
keys_link_tick(struct spooler *sp, uint64_t now_ms)
{
	struct keys_link *k = &sp->keys_link;

	if (k->first != NULL && now_ms - k->first->asked_ms > LATE_MS && !k->is_late) {
		k->is_late = true;
		log_error("keys.late", "hint", "mail that is to be signed waits for the key service", NULL);
	}
	/* The list is in the order of asking. What is called may ask anew. */
	while (k->first != NULL && now_ms - k->first->asked_ms > KEYS_LINK_PATIENCE_MS) {
		uint64_t number = k->first->number;

		free(take(k, number));
		deliver_signed(sp, number, NULL, 0, "the key service does not answer");
	}
}
