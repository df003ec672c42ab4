/*
 * smtpadm account clientconfig: what to enter in a mail program, or the file that one reads. Runs with the admin's rights, reads only.
 * Invariant: no password is known here, and none is printed.
 */
#include "command.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "mem.h"
#include "out.h"
#include "people.h"

#define TEXT_MAX 65536

struct client {
	const char		*host;
	char			 user[REGISTRY_NAME_MAX];
	char			 from[REGISTRY_PATTERN_MAX];	/* an address that it may send as, or "" */
	const char		*domain;			/* of from, or "" */
	const struct conf_listener *listener;
	unsigned		 port;
	uint64_t		 sessions;			/* at once, that the account may have */
	struct buf		 text;
};

static const char *const security[] = {
	[LISTENER_SUBMISSION] = "STARTTLS", [LISTENER_SUBMISSIONS] = "SSL/TLS", [LISTENER_PLAIN] = "none",
};

static void __attribute__((format(printf, 2, 3)))
put(struct client *c, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_put(&c->text, line, strlen(line));
}

/* In XML. */
static void
put_escaped(struct client *c, const char *text)
{
	for (; *text != 0; text++) {
		if (*text == '&' || *text == '<' || *text == '>' || *text == '"')
			put(c, "&#%d;", *text);
		else
			put(c, "%c", *text);
	}
}

static void
put_thunderbird(struct client *c)
{
	put(c, "Thunderbird: Account Settings > Outgoing Server (SMTP) > Add\n"
	    "  Server Name            %s\n  Port                   %u\n  Connection security    %s\n"
	    "  Authentication method  %s\n  User Name              %s\n", c->host, c->port, security[c->listener->kind],
	    c->listener->kind == LISTENER_PLAIN ? "Password, transmitted insecurely" : "Normal password", c->user);
}

static void
put_ios(struct client *c)
{
	put(c, "iPhone, iPad: Settings > Apps > Mail > Mail Accounts > (the account) > SMTP > Add Server\n"
	    "  Host Name       %s\n  User Name       %s\n  Password        (asked for)\n  Use SSL         %s\n"
	    "  Authentication  Password\n  Server Port     %u\n", c->host, c->user,
	    c->listener->kind == LISTENER_PLAIN ? "off" : "on", c->port);
}

static void
put_msmtp(struct client *c)
{
	bool tls = c->listener->kind != LISTENER_PLAIN;

	put(c, "# ~/.msmtprc, mode 0600. The password is asked for, or taken from what passwordeval runs:\n"
	    "# passwordeval \"secret-tool lookup host %s\"\n"
	    "defaults\ntls %s\n", c->host, tls ? "on" : "off");
	if (tls)
		put(c, "tls_starttls %s\n# tls_trust_file takes a certificate that signs itself\n",
		    c->listener->kind == LISTENER_SUBMISSION ? "on" : "off");
	put(c, "\naccount postern\nhost %s\nport %u\nauth plain\nuser \"%s\"\n", c->host, c->port, c->user);
	if (c->from[0] != 0)
		put(c, "from \"%s\"\n", c->from);
	put(c, "\naccount default : postern\n");
}

static void
put_postfix(struct client *c)
{
	bool wrapped = c->listener->kind == LISTENER_SUBMISSIONS, tls = c->listener->kind != LISTENER_PLAIN;

	put(c, "# /etc/postfix/main.cf\nrelayhost = [%s]:%u\nsmtp_sasl_auth_enable = yes\n"
	    "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\nsmtp_sasl_security_options = %s\n"
	    "smtp_sasl_tls_security_options = noanonymous\nsmtp_tls_security_level = %s\n", c->host, c->port,
	    tls ? "noanonymous, noplaintext" : "noanonymous", tls ? "secure" : "none");
	if (wrapped)
		put(c, "smtp_tls_wrappermode = yes\n");
	if (tls)
		put(c, "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n");
	/* Above the cap Postfix would be answered 500 to AUTH; one is left for the account's other programs. */
	put(c, "smtp_destination_concurrency_limit = %llu\n", (unsigned long long)(c->sessions > 1 ? c->sessions - 1 : 1));
	put(c, "\n# /etc/postfix/sasl_passwd, mode 0600; then: postmap /etc/postfix/sasl_passwd && postfix reload\n"
	    "[%s]:%u %s:PASSWORD\n\n# The envelope senders must be those of the account: smtpadm sender list %s\n", c->host, c->port,
	    c->user, c->user);
}

static void
put_printer(struct client *c)
{
	put(c, "Printer, scanner, other device: e-mail or SMTP settings\n"
	    "  SMTP server     %s\n  SMTP port       %u\n  Encryption      %s\n  Authentication  SMTP AUTH (LOGIN or PLAIN)\n"
	    "  User name       %s\n  Sender address  %s\n", c->host, c->port, security[c->listener->kind], c->user,
	    c->from[0] != 0 ? c->from : "(smtpadm sender add)");
	if (c->listener->kind != LISTENER_PLAIN)
		put(c, "\nA device without TLS needs a listener of kind plain in its network: postern.conf(5).\n");
}

static void
put_autoconfig(struct client *c)
{
	static const char *const words[] = {
		[LISTENER_SUBMISSION] = "STARTTLS", [LISTENER_SUBMISSIONS] = "SSL", [LISTENER_PLAIN] = "plain",
	};
	const char *domain = c->domain[0] != 0 ? c->domain : c->host;

	put(c, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  <emailProvider id=\"");
	put_escaped(c, domain);
	put(c, "\">\n    <domain>");
	put_escaped(c, domain);
	put(c, "</domain>\n    <displayName>");
	put_escaped(c, domain);
	put(c, "</displayName>\n    <displayShortName>");
	put_escaped(c, domain);
	put(c, "</displayShortName>\n    <outgoingServer type=\"smtp\">\n      <hostname>");
	put_escaped(c, c->host);
	put(c, "</hostname>\n      <port>%u</port>\n      <socketType>%s</socketType>\n      <username>", c->port,
	    words[c->listener->kind]);
	/* The file serves a whole domain where people log in with their addresses. */
	put_escaped(c, strchr(c->user, '@') != NULL ? "%EMAILADDRESS%" : c->user);
	put(c, "</username>\n      <authentication>password-cleartext</authentication>\n    </outgoingServer>\n"
	    "  </emailProvider>\n</clientConfig>\n");
}

/* The programs, and which listener each likes best. */
static const struct program {
	const char		*name;
	void			(*put)(struct client *c);
	enum listener_kind	 order[3];
} programs[] = {
	{ "thunderbird", put_thunderbird, { LISTENER_SUBMISSIONS, LISTENER_SUBMISSION, LISTENER_PLAIN } },
	{ "ios", put_ios, { LISTENER_SUBMISSIONS, LISTENER_SUBMISSION, LISTENER_PLAIN } },
	{ "msmtp", put_msmtp, { LISTENER_SUBMISSIONS, LISTENER_SUBMISSION, LISTENER_PLAIN } },
	{ "postfix", put_postfix, { LISTENER_SUBMISSION, LISTENER_SUBMISSIONS, LISTENER_PLAIN } },
	{ "printer", put_printer, { LISTENER_PLAIN, LISTENER_SUBMISSION, LISTENER_SUBMISSIONS } },
	{ "autoconfig", put_autoconfig, { LISTENER_SUBMISSIONS, LISTENER_SUBMISSION, LISTENER_PLAIN } },
};
#define NPROGRAMS (sizeof(programs) / sizeof(programs[0]))

static bool
choose_listener(struct client *c, const struct conf *conf, const struct program *p)
{
	c->listener = NULL;
	for (size_t k = 0; k < 3 && c->listener == NULL; k++)
		for (size_t i = 0; i < conf->nlisteners && c->listener == NULL; i++)
			if (conf->listeners[i].kind == p->order[k])
				c->listener = &conf->listeners[i];
	if (c->listener == NULL)
		return false;
	c->port = c->listener->address.port;
	return true;
}

/* The first plain address that the account may use, its own before others. */
static int
take_sender(const struct registry_sender *s, void *arg)
{
	struct client *c = arg;

	if (strchr(s->pattern, '@') != NULL && strchr(s->pattern, '*') == NULL &&
	    (c->from[0] == 0 || strcasecmp(s->pattern, c->user) == 0))
		snprintf(c->from, sizeof(c->from), "%s", s->pattern);
	return 0;
}

static int
read_account(struct client *c, const struct admin *a, const struct conf *conf)
{
	struct registry_account account;
	struct registry *r;
	int code, err;

	if ((code = people_open(a, false, &r)) != EX_OK)
		return code;
	if ((code = people_find(r, a->words[0], &account)) == EX_OK) {
		snprintf(c->user, sizeof(c->user), "%s", account.name);
		c->sessions = account.limits.sessions != 0 ? account.limits.sessions : conf->limits_sessions_per_account;
		if ((err = registry_walk_senders(r, account.id, take_sender, c)) != ERR_OK)
			code = people_fail(r, err, "senders");
		c->domain = strrchr(c->from, '@') != NULL ? strrchr(c->from, '@') + 1 : "";
	}
	registry_close(r);
	return code;
}

static int
print_one(struct client *c, const struct program *p)
{
	struct json j;

	buf_init(&c->text, TEXT_MAX);
	p->put(c);
	if (buf_put_nul(&c->text) != ERR_OK)
		return out_fail(EX_OSERR, "no_memory", "out of memory");
	if (!out_is_json()) {
		fputs((const char *)c->text.data, stdout);
	} else {
		json_begin(&j);
		json_put_str(&j, "for", p->name);
		json_put_str(&j, "host", c->host);
		json_put_u64(&j, "port", c->port);
		json_put_str(&j, "security", security[c->listener->kind]);
		json_put_str(&j, "user", c->user);
		json_put_str(&j, "sender", c->from[0] != 0 ? c->from : NULL);
		json_put_str(&j, "text", (const char *)c->text.data);
		json_end(&j, stdout);
	}
	buf_free(&c->text);
	return EX_OK;
}

/* All for people; the two files are longer and are asked for by name. */
int
cmd_account_clientconfig(struct admin *a)
{
	const char *wanted = admin_value(a, OPT_FOR);
	static struct conf conf;
	struct client c = { .host = conf.hostname };
	size_t p = 0;
	int code;

	while (wanted != NULL && p < NPROGRAMS && strcmp(programs[p].name, wanted) != 0)
		p++;
	if (p == NPROGRAMS) {
		out_fix("smtpadm account clientconfig %s, for all of them", a->words[0]);
		return out_fail(EX_USAGE, "usage", "--for is thunderbird, ios, msmtp, postfix, printer or autoconfig, not '%s'",
		    wanted);
	}
	if ((code = admin_load_conf(a, &conf)) != EX_OK || (code = read_account(&c, a, &conf)) != EX_OK)
		return code;
	for (size_t i = 0; i < NPROGRAMS && code == EX_OK; i++) {
		if (wanted != NULL && i != p)
			continue;
		if (!choose_listener(&c, &conf, &programs[i])) {
			out_fix("smtpadm setup");
			return out_fail(EX_CONFIG, "no_listener", "there is no listener that a mail program could use");
		}
		if (wanted == NULL && i != 0 && !out_is_json())
			printf("\n");
		code = print_one(&c, &programs[i]);
	}
	return code;
}
