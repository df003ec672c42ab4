/*
 * From a message and its options to its transactions, and from the service's replies to exit statuses. Run by
 * postern-sendmail with its caller's rights. Invariant: 0 is said only when the service has the message for all
 * recipients; where it does not, the words on standard error say why, and for whom.
 */
#include "submit.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "client.h"
#include "err.h"
#include "rewrite.h"
#include "input.h"
#include "mailboxes.h"
#include "options.h"
#include "recipients.h"
#include "str.h"

#define HEADER_MAX (64 * 1024 * 1024)
#define ENVID_MAX 100	/* octets of a parameter as it is sent, RFC 3461, 4.4 */

struct submission {
	struct client		*c;
	const struct options	*o;
	const struct input	*in;
	struct recipients	 recipients;
	struct completion	 completion;
	struct buf		 header;
	size_t			 body;		/* where it starts in the input; its blank line belongs to it */
	bool			 is_utf8;	/* an address is beyond ASCII */
	char			 user[256], full_name[256], host[256];
	char			 address[MAILBOX_TEXT + 256];	/* the account's */
	char			 domain[256];
	char			 sender[MAILBOX_TEXT + 256];
};

int
submit_lost(int err)
{
	switch (err) {
	case ERR_SYNTAX:
		fprintf(stderr, "sendmail: an address or option is too long or has octets that no command may have\n");
		return EX_DATAERR;
	case ERR_CLOSED:
		fprintf(stderr, "sendmail: the mail service is not there (smtpadm status); the message was not sent, "
				"try again later\n");
		return EX_TEMPFAIL;
	case ERR_TIMEOUT:
		fprintf(stderr,
		    "sendmail: the mail service did not answer in time; the message was not sent, try again later\n");
		return EX_TEMPFAIL;
	case ERR_TOOBIG:
		fprintf(stderr, "sendmail: there are more than %d recipients\n", RECIPIENTS_MAX);
		return EX_DATAERR;
	case ERR_NOMEM:
		fprintf(stderr, "sendmail: out of memory\n");
		return EX_TEMPFAIL;
	default:
		fprintf(stderr, "sendmail: the connection to the mail service failed: %s; try again later\n",
		    err_text(err));
		return EX_TEMPFAIL;
	}
}

/* The exit status for a refusal, by its enhanced code (RFC 3463) where that says more. */
static int
status_of(unsigned code, const char *text)
{
	static const struct {
		const char	*enhanced;
		int		 status;
	} rows[] = {
		{ "5.1.3", EX_DATAERR }, { "5.1.", EX_NOUSER }, { "5.3.4", EX_DATAERR }, { "5.4.6", EX_DATAERR },
		{ "5.6.", EX_DATAERR }, { "5.7.", EX_NOPERM }, { "5.5.", EX_PROTOCOL },
	};

	if (code < 500)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strncmp(text, rows[i].enhanced, strlen(rows[i].enhanced)) == 0)
			return rows[i].status;
	return EX_UNAVAILABLE;
}

static int
refused(const struct submission *s, const char *what, const char *address)
{
	const struct client *c = s->c;
	int status = status_of(c->code, c->text);

	fprintf(stderr, "sendmail: %s%s%s%s was refused: %u %s\n", what, address[0] != 0 ? " <" : "", address,
	    address[0] != 0 ? ">" : "", c->code, c->text);
	if (status == EX_NOPERM && strcmp(what, "the sender") == 0 && c->code == 553)
		fprintf(stderr, "sendmail: the administrator can permit it: smtpadm sender add ACCOUNT %s\n",
		    address[0] != 0 ? address : "'<>'");
	if (status == EX_NOPERM && strcmp(what, "the message") == 0 && c->code == 553)
		fprintf(stderr, "sendmail: the administrator can permit it: smtpadm sender add ACCOUNT, and the "
				"address of its From field\n");
	return status;
}

static bool
is_good(const struct submission *s)
{
	return s->c->code >= 200 && s->c->code < 300;
}

/* The caller's names: of the user, and the one for people. */
static void
find_names(struct submission *s)
{
	const struct passwd *p = getpwuid(getuid());
	const char *full = s->o->full_name;

	if (p == NULL || str_fmt(s->user, sizeof(s->user), "%s", p->pw_name) != ERR_OK)
		str_fmt(s->user, sizeof(s->user), "%lu", (unsigned long)getuid());
	if (full != NULL)
		str_copy(s->full_name, sizeof(s->full_name), full, strlen(full));
	else if (p != NULL && p->pw_gecos != NULL && strchr(p->pw_gecos, '&') == NULL)
		str_copy(s->full_name, sizeof(s->full_name), p->pw_gecos, strcspn(p->pw_gecos, ","));
}

/* What stands for names without a domain: the account's address, where a '*' stands for the user, and its domain. */
static void
find_completion(struct submission *s)
{
	const char *star = strchr(s->c->sender, '*'), *at;

	if (star == NULL)
		str_fmt(s->address, sizeof(s->address), "%s", s->c->sender);
	else
		str_fmt(s->address, sizeof(s->address), "%.*s%s%s", (int)(star - s->c->sender), s->c->sender, s->user,
		    star + 1);
	at = strrchr(s->address, '@');
	str_fmt(s->domain, sizeof(s->domain), "%s", at != NULL ? at + 1 : s->c->host);
	if (gethostname(s->host, sizeof(s->host)) != 0 || memchr(s->host, 0, sizeof(s->host)) == NULL)
		s->host[0] = 0;
	s->completion =
	    (struct completion){ .user = s->user, .address = s->address, .domain = s->domain, .host = s->host };
}

/* -f, with or without brackets; "" and "<>" are the null sender. Without it the account's address. */
static int
find_sender(struct submission *s)
{
	const char *f = s->o->sender;
	struct mailbox m;
	size_t at = 0;
	int err;

	if (f == NULL && s->address[0] != 0)
		return str_fmt(s->sender, sizeof(s->sender), "%s", s->address);
	if (f == NULL)	/* the service will say what is missing */
		return str_fmt(s->sender, sizeof(s->sender), "%s@%s", s->user, s->domain);
	if (f[0] == 0 || strcmp(f, "<>") == 0)
		return ERR_OK;
	if ((err = mailboxes_next((const uint8_t *)f, strlen(f), &at, &m)) != ERR_OK)
		return ERR_SYNTAX;
	return rewrite_address(s->sender, sizeof(s->sender), m.text, &s->completion);
}

/* Each word of the command line may be a list. */
static int
take_arguments(struct submission *s)
{
	char address[MAILBOX_TEXT + 256], shown[512];
	struct mailbox m;
	int err = ERR_OK;

	for (char *const *word = s->o->recipients; *word != NULL; word++)
		for (size_t at = 0;
		     (err = mailboxes_next((const uint8_t *)*word, strlen(*word), &at, &m)) != ERR_NOTFOUND;) {
			if (err == ERR_OK &&
			    (err = rewrite_address(address, sizeof(address), m.text, &s->completion)) == ERR_OK)
				err = recipients_add(&s->recipients, address);
			if (err != ERR_OK) {
				fprintf(stderr, "sendmail: %s is no address: %s\n", mailboxes_show(shown, sizeof(shown), *word), err_text(err));
				return err;
			}
		}
	return ERR_OK;
}

static int
prepare(struct submission *s)
{
	const struct buf *text = &s->in->text;
	char why[512];
	int err;

	find_names(s);
	find_completion(s);
	if (find_sender(s) != ERR_OK) {
		fprintf(stderr, "sendmail: -f %s is no address\n", mailboxes_show(why, sizeof(why), s->o->sender));
		return EX_DATAERR;
	}
	if (take_arguments(s) != ERR_OK)
		return EX_DATAERR;
	err = rewrite_header(&s->header, text->data, text->len, &s->completion, s->sender, s->full_name,
	    s->o->from_header ? &s->recipients : NULL, &s->body, why, sizeof(why));
	if (err == ERR_SYNTAX) {
		fprintf(stderr, "sendmail: %s\n", why);
		return EX_DATAERR;
	}
	if (err != ERR_OK)
		return submit_lost(err);
	if (s->recipients.n == 0) {
		fprintf(stderr, "sendmail: no recipients: name them behind the options, or use -t with To, Cc or Bcc "
				"in the header\n");
		return EX_USAGE;
	}
	/* A message without header begins with the blank line that ends none. */
	if (s->body == 0 && (text->len == 0 || text->data[0] != '\r') && buf_put_str(&s->header, "\r\n") != ERR_OK)
		return submit_lost(ERR_NOMEM);
	for (size_t i = 0; i <= s->recipients.n; i++)
		for (const char *p = i < s->recipients.n ? s->recipients.list[i] : s->sender; *p != 0; p++)
			s->is_utf8 |= (uint8_t)*p > 0x7f;
	return EX_OK;
}

/* RFC 3461, 4.2; what does not fit as a whole is cut off. */
static void
put_xtext(char to[ENVID_MAX + 1], const char *text)
{
	size_t n = 0;

	for (; *text != 0; text++) {
		bool is_plain = *text > ' ' && *text < 0x7f && *text != '+' && *text != '=';

		if (n + (is_plain ? 1 : 3) > ENVID_MAX)
			break;
		n += (size_t)snprintf(to + n, 4, is_plain ? "%c" : "+%02X", (uint8_t)*text);
	}
	to[n] = 0;
}

static int
ask_mail(struct submission *s)
{
	const struct options *o = s->o;
	char envid[ENVID_MAX + 1] = "";

	if (o->envid != NULL)
		put_xtext(envid, o->envid);
	return client_ask(s->c, "MAIL FROM:<%s> SIZE=%zu%s%s%s%s%s%s", s->sender,
	    s->header.len + s->in->text.len - s->body, s->in->is_8bit || o->is_8bit ? " BODY=8BITMIME" : "",
	    s->is_utf8 ? " SMTPUTF8" : "", o->ret != NULL ? " RET=" : "", o->ret != NULL ? o->ret : "",
	    envid[0] != 0 ? " ENVID=" : "", envid);
}

/* Offers recipients from *next on, until the service takes no more for one message; *next is the first of the next. */
static int
offer_recipients(struct submission *s, size_t *next)
{
	size_t first = *next, most = s->c->recipients != 0 ? s->c->recipients : SIZE_MAX;
	const char *notify = s->o->notify;
	int err;

	for (; *next < s->recipients.n && *next - first < most; ++*next) {
		const char *address = s->recipients.list[*next];

		if ((err = client_ask(s->c, "RCPT TO:<%s>%s%s", address, notify != NULL ? " NOTIFY=" : "",
		    notify != NULL ? notify : "")) != ERR_OK)
			return submit_lost(err);
		if (s->c->code == 452 && *next != first)
			return EX_OK;
		if (!is_good(s))
			return refused(s, "the recipient", address);
	}
	return EX_OK;
}

static int
send_once(struct submission *s, size_t *next)
{
	const struct buf *text = &s->in->text;
	int status, err;

	if ((err = ask_mail(s)) != ERR_OK)
		return submit_lost(err);
	if (!is_good(s))
		return refused(s, "the sender", s->sender);
	if ((status = offer_recipients(s, next)) != EX_OK)
		return status;
	if ((err = client_ask(s->c, "DATA")) != ERR_OK)
		return submit_lost(err);
	if (s->c->code != 354)
		return refused(s, "the message", "");
	if ((err = client_send_message(
		 s->c, s->header.data, s->header.len, text->data + s->body, text->len - s->body)) != ERR_OK) {
		fprintf(stderr, "sendmail: the mail service has not answered (%s); it may have the message or not\n",
		    err_text(err));
		return EX_TEMPFAIL;
	}
	return is_good(s) ? EX_OK : refused(s, "the message", "");
}

static int
send_to_all(struct submission *s)
{
	size_t next = 0, done = 0;
	int status = EX_OK;

	while (status == EX_OK && done < s->recipients.n)
		if ((status = send_once(s, &next)) == EX_OK)
			done = next;
	if (status == EX_OK || done == 0)
		return status;
	fprintf(stderr,
	    "sendmail: the message was sent to the first %zu of its %zu recipients only, not from <%s> on\n", done,
	    s->recipients.n, s->recipients.list[done]);
	return status;
}

int
submit_message(struct client *c, const struct options *o, const struct input *in)
{
	struct submission s = { .c = c, .o = o, .in = in };
	int status, err;

	buf_init(&s.header, HEADER_MAX);
	if (c->code != 220) {
		fprintf(stderr, "sendmail: the mail service does not take mail now: %u %s\n", c->code, c->text);
		status = EX_TEMPFAIL;
	} else if ((err = client_greet(c)) != ERR_OK) {
		status = submit_lost(err);
	} else {
		status = prepare(&s);
		if (status == EX_OK)
			status = send_to_all(&s);
		/* All is said: whatever is answered changes nothing. */
		client_ask(c, "QUIT");
	}
	buf_free(&s.header);
	recipients_free(&s.recipients);
	return status;
}
