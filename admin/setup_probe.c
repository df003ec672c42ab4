/*
 * What smtpadm setup ends with: each listener of the service that it has started is tried as a mail program would use it, as far as
 * this run knows a password. Runs as root. Invariant: no probe leaves this machine. Its octets are sent only where no route would take
 * them on (or one that discards), and are removed from the queue again; elsewhere the message is given up before DATA.
 */
#include "setup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base64.h"
#include "certificate.h"
#include "err.h"
#include "helper.h"
#include "io.h"
#include "mem.h"
#include "out.h"
#include "probe.h"
#include "str.h"

#define LISTEN_MS 15000		/* until a service that is just starting listens everywhere */
#define SESSION_MS 15000	/* for all the rest; logging in may wait for other hashes */
#define REMOVE_S 30
#define TRACE_S 10
#define TRACE_MS 3000		/* until it is written */
#define PAUSE_US 100000

struct trial {
	struct setup			*s;
	const struct conf_listener	*listener;
	struct setup_probe		*found;
	uint64_t			 listen_by_ms;
	struct probe			 p;
};

/* Whether DATA may follow: nothing carries it on. */
static bool
stays_here(const struct setup *s, const struct conf_route **route)
{
	const char *at = strrchr(s->account_name, '@');

	*route = at != NULL ? conf_find_route(&s->conf, s->account_name, at + 1, at + 1) : NULL;
	return *route == NULL || (*route)->kind == ROUTE_DISCARD;
}

static int
fault(struct trial *t, const char *step, int err)
{
	t->found->result = PROBE_FAULTY;
	if (err != ERR_OK)
		str_fmt(t->found->said, sizeof(t->found->said), "%s: %s", step, err_text(err));
	else
		str_fmt(t->found->said, sizeof(t->found->said), "%s: %.*s", step, (int)strcspn(t->p.text, "\n") > 150 ? 150 :
		    (int)strcspn(t->p.text, "\n"), t->p.text);
	return ERR_CLOSED;
}

/* A reply of this class, or the fault is noted. */
static int
expect(struct trial *t, const char *step, int err, unsigned class)
{
	return err != ERR_OK || t->p.code / 100 != class ? fault(t, step, err) : ERR_OK;
}

/* Whether the certificate that was shown stands in one of the configured files. */
static bool
is_configured(const struct setup *s, const X509 *shown)
{
	char path[PATH_MAX];
	struct conf_pair pair;
	bool found = false;

	for (size_t i = 0; !found && conf_pair(&s->conf, i, &pair); i++) {
		FILE *f = instance_file(&s->a->in, pair.certificate, path) == ERR_OK ? fopen(path, "re") : NULL;
		X509 *leaf = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

		found = leaf != NULL && X509_cmp(leaf, shown) == 0;
		X509_free(leaf);
		if (f != NULL)
			fclose(f);
	}
	return found;
}

static int
encrypt(struct trial *t)
{
	int err = probe_start_tls(&t->p, t->s->conf.hostname);
	X509 *shown = err == ERR_OK ? SSL_get0_peer_certificate(t->p.ssl) : NULL;

	if (err == ERR_SYNTAX) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		t->found->result = PROBE_FAULTY;
		str_fmt(t->found->said, sizeof(t->found->said), "TLS: %.150s", reason != NULL ? reason : "there is none");
		return err;
	}
	if (err != ERR_OK)
		return fault(t, "TLS", err);
	str_fmt(t->found->tls, sizeof(t->found->tls), "%s", SSL_get_version(t->p.ssl));
	t->found->knows_certificate = shown != NULL && is_configured(t->s, shown);
	if (t->found->knows_certificate)
		return ERR_OK;
	t->found->result = PROBE_FAULTY;
	str_fmt(t->found->said, sizeof(t->found->said), "TLS: it shows another certificate than the configured one");
	return ERR_CLOSED;
}

/* Up to the greeting and what EHLO offers, encrypted where the listener wants it. */
static int
open_session(struct trial *t)
{
	bool at_once = t->listener->kind == LISTENER_SUBMISSIONS;
	int err;

	if ((err = probe_open(&t->p, &t->listener->address, t->listen_by_ms)) != ERR_OK)
		return err == ERR_CLOSED ? fault(t, "nobody listens", ERR_SYSTEM) : fault(t, "connecting", err);
	t->p.deadline_ms = io_now_ms() + SESSION_MS;
	if ((at_once && encrypt(t) != ERR_OK) || expect(t, "greeting", probe_hear(&t->p), 2) != ERR_OK ||
	    expect(t, "EHLO", probe_ask(&t->p, "EHLO localhost"), 2) != ERR_OK)
		return ERR_CLOSED;
	if (t->listener->kind != LISTENER_SUBMISSION)
		return ERR_OK;
	if (!probe_offers(&t->p, "STARTTLS"))
		return fault(t, "it offers no STARTTLS", ERR_OK);
	if (expect(t, "STARTTLS", probe_ask(&t->p, "STARTTLS"), 2) != ERR_OK || encrypt(t) != ERR_OK)
		return ERR_CLOSED;
	return expect(t, "EHLO", probe_ask(&t->p, "EHLO localhost"), 2);
}

static int
log_in(struct trial *t)
{
	const struct secret *secret = &t->s->secret;
	char plain[REGISTRY_NAME_MAX + PASSWORD_MAX + 8], text[BASE64_ENCODED(sizeof(plain)) + 1];
	size_t n = strlen(t->s->account_name);
	int err;

	plain[0] = 0;
	memcpy(plain + 1, t->s->account_name, n + 1);
	memcpy(plain + n + 2, secret->text, secret->len);
	base64_encode(text, plain, n + 2 + secret->len);
	err = probe_ask(&t->p, "AUTH PLAIN %s", text);
	mem_wipe(plain, sizeof(plain));
	mem_wipe(text, sizeof(text));
	if ((err = expect(t, "AUTH", err, 2)) == ERR_OK)
		t->found->logged_in = true;
	return err;
}

static void
note_said(struct trial *t)
{
	str_fmt(t->found->said, sizeof(t->found->said), "%.*s", (int)strcspn(t->p.text, "\n") > 190 ? 190 :
	    (int)strcspn(t->p.text, "\n"), t->p.text);
}

static int
send_message(struct trial *t)
{
	static const char mark[] = "queued as ";
	const char *name = t->s->account_name, *at;
	char text[1200];
	int err;

	if (expect(t, "DATA", probe_ask(&t->p, "DATA"), 3) != ERR_OK)
		return ERR_CLOSED;
	if (str_fmt(text, sizeof(text), "From: <%s>\r\nTo: <%s>\r\nSubject: Probe of the listener %s\r\n\r\n"
	    "smtpadm setup sent this to see whether it is accepted, and removes it again.\r\n.\r\n", name, name,
	    t->listener->name) != ERR_OK)
		return fault(t, "DATA", ERR_TOOBIG);
	if ((err = probe_send(&t->p, text, strlen(text))) == ERR_OK)
		err = probe_hear(&t->p);
	if (expect(t, "message", err, 2) != ERR_OK)
		return ERR_CLOSED;
	t->found->message = MESSAGE_ACCEPTED;
	if ((at = strstr(t->p.text, mark)) != NULL) {
		at += sizeof(mark) - 1;
		str_copy(t->found->id, sizeof(t->found->id), at, strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"));
	}
	return ERR_OK;
}

/* To the account itself, from itself. */
static int
try_message(struct trial *t)
{
	const char *name = t->s->account_name, *utf8 = "";
	const struct conf_route *route;

	for (const char *c = name; *c != 0; c++)
		if ((unsigned char)*c >= 0x80)
			utf8 = " SMTPUTF8";
	if (expect(t, "MAIL", probe_ask(&t->p, "MAIL FROM:<%s>%s", name, utf8), 2) != ERR_OK ||
	    expect(t, "RCPT", probe_ask(&t->p, "RCPT TO:<%s>", name), 2) != ERR_OK)
		return ERR_CLOSED;
	t->found->message = MESSAGE_WELCOME;
	note_said(t);
	if (!stays_here(t->s, &route))
		return expect(t, "RSET", probe_ask(&t->p, "RSET"), 2);
	if (send_message(t) != ERR_OK)
		return ERR_CLOSED;
	note_said(t);
	return ERR_OK;
}

static void
try_listener(struct setup *s, size_t i, uint64_t listen_by_ms)
{
	static struct trial t;
	int err;

	t = (struct trial){ .s = s, .listener = &s->conf.listeners[i], .found = &s->probes[i],
	    .listen_by_ms = listen_by_ms };
	t.found->result = PROBE_GOOD;
	err = open_session(&t);
	/* A listener for certain networks may not be meant for this machine. */
	if (err != ERR_OK && t.p.code == 521 && t.listener->nnetworks != 0)
		t.found->result = PROBE_OUT_OF_REACH;
	if (err == ERR_OK)
		note_said(&t);
	if (err == ERR_OK && s->secret.len != 0 && (err = log_in(&t)) == ERR_OK && strchr(s->account_name, '@') != NULL)
		err = try_message(&t);
	if (err == ERR_OK)
		probe_ask(&t.p, "QUIT");
	probe_close(&t.p);
}

/* smtpadm itself, since the owner of the spool has to do it. Its output ends with NUL; false: it could not be done. */
static bool
run_smtpadm(const struct setup *s, const char *const *words, unsigned seconds, struct buf *out)
{
	const char *argv[CONF_LISTENERS_MAX + 12] = { "smtpadm", "--quiet", "--yes" };
	size_t n = 3;
	struct buf err;
	int status = 1, result;

	if (s->a->in.root[0] != 0) {
		argv[n++] = "--root";
		argv[n++] = s->a->in.root;
	}
	for (size_t i = 0; words[i] != NULL && n + 1 < sizeof(argv) / sizeof(argv[0]); i++)
		argv[n++] = words[i];
	buf_init(out, HELPER_OUTPUT_MAX);
	buf_init(&err, HELPER_OUTPUT_MAX);
	result = helper_run("/proc/self/exe", argv, seconds, out, &err, &status);
	buf_free(&err);
	return result == ERR_OK && status == 0;
}

static void
remove_messages(struct setup *s)
{
	const char *words[CONF_LISTENERS_MAX + 3] = { "queue", "remove" };
	const struct conf_route *route;
	size_t n = 2;
	struct buf out;
	bool done;

	/* One that is discarded goes by itself. */
	if (!stays_here(s, &route) || route != NULL)
		return;
	for (size_t i = 0; i < s->conf.nlisteners; i++)
		if (s->probes[i].id[0] != 0)
			words[n++] = s->probes[i].id;
	if (n == 2)
		return;
	done = run_smtpadm(s, words, REMOVE_S, &out);
	buf_free(&out);
	for (size_t i = 0; i < s->conf.nlisteners; i++) {
		s->probes[i].is_removed = done && s->probes[i].id[0] != 0;
		if (!done && s->probes[i].id[0] != 0)
			out_warn("the probe %s is still in the queue: %squeue remove %s", s->probes[i].id, out_program(), s->probes[i].id);
	}
}

/* Up to the removal, where there was one: the trace is written a moment later. */
static void
read_trace(const struct setup *s, struct setup_probe *found)
{
	const char *const words[] = { "trace", found->id, NULL };
	uint64_t deadline = io_now_ms() + TRACE_MS;
	bool is_whole = false;
	struct buf out;

	while (!is_whole) {
		if (run_smtpadm(s, words, TRACE_S, &out)) {
			size_t n = out.len != 0 ? out.len - 1 : 0;	/* without the last line's end */

			if (n > sizeof(found->trace) - 1)
				n = sizeof(found->trace) - 1;
			str_copy(found->trace, sizeof(found->trace), out.data, n);
			is_whole = !found->is_removed || strstr(found->trace, "removed") != NULL;
		}
		buf_free(&out);
		if (io_now_ms() >= deadline)
			return;
		if (!is_whole)
			usleep(PAUSE_US);
	}
}

void
setup_probe(struct setup *s)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before;
	uint64_t listen_by_ms = io_now_ms() + LISTEN_MS;

	sigaction(SIGPIPE, &ignored, &before);	/* OpenSSL writes without MSG_NOSIGNAL */
	for (size_t i = 0; i < s->conf.nlisteners; i++)
		try_listener(s, i, listen_by_ms);
	sigaction(SIGPIPE, &before, NULL);
	remove_messages(s);
	for (size_t i = 0; i < s->conf.nlisteners; i++)
		if (s->probes[i].id[0] != 0)
			read_trace(s, &s->probes[i]);
}
