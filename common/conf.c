/*
 * The configuration: one table of settings, read by inih from one INI file. Pure.
 * Run by the master and smtpadm on the file, by services on the text that the master has checked.
 */
#include "conf.h"

#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "err.h"
#include "str.h"

static const char *const bool_words[] = { "off", "on", NULL };
static const char *const reply_words[] = { "default", "rfc", NULL };
static const char *const level_words[] = { "alarm", "error", "warning", "info", "debug", NULL };
static const char *const format_words[] = { "logfmt", "json", NULL };
static const char *const target_words[] = { "stderr", "syslog", NULL };

#define FIELD(f) offsetof(struct conf, f), sizeof(((struct conf *)0)->f)
#define K 1024ULL
#define SECOND 1000ULL
#define DAY (86400 * SECOND)

static const struct conf_setting settings[] = {
	{ "hostname", CONF_HOSTNAME, FIELD(hostname), "localhost", 0, 0, NULL,
	    "The name that the service gives itself in the greeting, in Received and in queue file names." },
	{ "replies", CONF_WORD, FIELD(replies_rfc), "default", 0, 0, reply_words,
	    "Reply codes of the service's own specification, or those of the RFCs where the two differ." },
	{ "spool.path", CONF_TEXT, FIELD(spool_path), "", 0, 0, NULL,
	    "Folder of the spool; relative to the instance's folder; empty for the usual place." },
	{ "spool.commit_threads", CONF_NUMBER, FIELD(spool_commit_threads), "16", 1, 256, NULL,
	    "Messages that are being brought to the disk at the same time." },
	{ "spool.min_free", CONF_SIZE, FIELD(spool_min_free), "16M", 0, 1ULL << 50, NULL,
	    "Free space below which no mail is taken (452); never more than a twentieth of the disk." },
	{ "spool.journal", CONF_SIZE, FIELD(spool_journal), "16M", 0, 512ULL << 20, NULL,
	    "Size to which each of the two files of the commit journal may grow; 0: no journal, each message is synced by itself." },
	{ "users.base", CONF_NUMBER, FIELD(users_base), "60600", 1000, 4294900000ULL, NULL,
	    "First of the numeric user ids that the programs of this instance run as, when started by root." },
	{ "workers.spare", CONF_NUMBER, FIELD(workers_spare), "8", 1, 1000, NULL,
	    "Idle worker processes that are kept ready for the next sessions." },
	{ "workers.max", CONF_NUMBER, FIELD(workers_max), "1000", 1, 20000, NULL,
	    "Sessions served at the same time; one more is answered 421." },
	{ "workers.crash_ban", CONF_DURATION, FIELD(workers_crash_ban), "60s", 0, DAY, NULL,
	    "How long the network of a client whose worker crashed is refused." },
	{ "limits.command_timeout", CONF_DURATION, FIELD(limits_command_timeout), "30s", SECOND / 10, DAY, NULL,
	    "Time that a client has for a whole command line." },
	{ "limits.data_timeout", CONF_DURATION, FIELD(limits_data_timeout), "90s", SECOND / 10, DAY, NULL,
	    "Time without any data inside a message after which the session ends." },
	{ "limits.recipients", CONF_NUMBER, FIELD(limits_recipients), "100", 1, 10000, NULL,
	    "Recipients of one message." },
	{ "limits.message_size", CONF_SIZE, FIELD(limits_message_size), "8M", 1 * K, 1ULL << 40, NULL,
	    "Size of one message in octets." },
	{ "limits.attachment_size", CONF_SIZE, FIELD(limits_attachment_size), "4M", 1 * K, 1ULL << 40, NULL,
	    "Decoded size of one attachment in octets." },
	{ "limits.sessions_per_account", CONF_NUMBER, FIELD(limits_sessions_per_account), "10", 1, 100000, NULL,
	    "Sessions of one account at the same time." },
	{ "limits.sessions_per_address", CONF_NUMBER, FIELD(limits_sessions_per_address), "200", 1, 100000, NULL,
	    "Sessions of one client address (IPv6: one /64) at the same time." },
	{ "limits.errors", CONF_NUMBER, FIELD(limits_errors), "20", 1, 100000, NULL,
	    "Errors in one session after which it is closed." },
	{ "senders.check_header", CONF_BOOL, FIELD(senders_check_header), "on", 0, 0, bool_words,
	    "Whether the From field of a message must be an address that the account may use." },
	{ "received.client", CONF_BOOL, FIELD(received_client), "off", 0, 0, bool_words,
	    "Whether the Received field of a message shows the client's address to its recipients." },
	{ "local.submit", CONF_BOOL, FIELD(local_submit), "on", 0, 0, bool_words,
	    "Whether programs of this machine may submit over the local socket, as the account of their user." },
	{ "auth.hashers", CONF_NUMBER, FIELD(auth_hashers), "2", 1, 64, NULL,
	    "Processes that check passwords." },
	{ "auth.failure_delay", CONF_DURATION, FIELD(auth_failure_delay), "1s", SECOND / 10, 60 * SECOND, NULL,
	    "Time after which a failed login is answered, whatever its cause." },
	{ "auth.remember", CONF_DURATION, FIELD(auth_remember), "5m", 0, DAY, NULL,
	    "How long a password that was checked is remembered (as a keyed digest, in memory only)." },
	{ "auth.throttle_after", CONF_NUMBER, FIELD(auth_throttle_after), "20", 0, 100000, NULL,
	    "Wrong passwords of one network (/24, /64) within auth.throttle_time after which its logins are refused; 0: never." },
	{ "auth.throttle_time", CONF_DURATION, FIELD(auth_throttle_time), "10m", SECOND, DAY, NULL,
	    "How long they are refused; accounts that have logged in from that network lately are spared." },
	{ "tls.certificate", CONF_TEXT, FIELD(tls_certificate), "tls/certificate.pem", 0, 0, NULL,
	    "File of the certificate and its chain, PEM; relative to the instance's folder." },
	{ "tls.key", CONF_TEXT, FIELD(tls_key), "tls/key.pem", 0, 0, NULL,
	    "File of the private key, PEM, readable by its owner only." },
	{ "tls.watch", CONF_BOOL, FIELD(tls_watch), "on", 0, 0, bool_words,
	    "Whether certificates are put in force by themselves when their files change." },
	{ "tls.watch_interval", CONF_DURATION, FIELD(tls_watch_interval), "1m", SECOND / 10, DAY, NULL,
	    "How often the files of certificates and keys are looked at." },
	{ "delivery.retry", CONF_SCHEDULE, FIELD(delivery_retry), "1m 5m 15m 30m 1h 2h 4h", 0, 0, NULL,
	    "Times to wait before a delivery is tried again, one after the other; the last one holds from then on." },
	{ "delivery.expire", CONF_DURATION, FIELD(delivery_expire), "5d", SECOND, 30 * DAY, NULL,
	    "Age at which a message that could not be delivered is returned to its sender." },
	{ "delivery.warn_after", CONF_DURATION, FIELD(delivery_warn_after), "4h", 0, 30 * DAY, NULL,
	    "Age at which the sender is told that a message still waits; 0: never." },
	{ "delivery.sessions", CONF_NUMBER, FIELD(delivery_sessions), "50", 1, 1000, NULL,
	    "Sessions with next hops at the same time." },
	{ "delivery.sessions_per_destination", CONF_NUMBER, FIELD(delivery_sessions_per_destination), "10", 1, 1000, NULL,
	    "Sessions with one next hop at the same time, where its route does not say otherwise." },
	{ "delivery.connect_timeout", CONF_DURATION, FIELD(delivery_connect_timeout), "30s", SECOND / 10, 600 * SECOND, NULL,
	    "Time that a next hop has to take a connection." },
	{ "delivery.timeout", CONF_DURATION, FIELD(delivery_timeout), "10m", SECOND / 10, 3600 * SECOND, NULL,
	    "The longest that a next hop is waited for, which is after the end of a message; other replies have less (RFC 5321)." },
	{ "delivery.postmaster", CONF_ADDRESS, FIELD(delivery_postmaster), "", 0, 0, NULL,
	    "Address that gets a copy of every report of a failed delivery; empty for none." },
	{ "dns.servers", CONF_SERVERS, FIELD(dns_servers), "", 0, 0, NULL,
	    "Addresses of the name servers to ask, each with @PORT where it is not 53; empty for those of /etc/resolv.conf." },
	{ "dns.dnssec", CONF_BOOL, FIELD(dns_dnssec), "on", 0, 0, bool_words,
	    "Whether signed answers are validated, where the key of the DNS root is installed." },
	{ "trace.keep", CONF_DURATION, FIELD(trace_keep), "30d", DAY, 3650 * DAY, NULL,
	    "How long the trace of messages is kept." },
	{ "sandbox.require", CONF_BOOL, FIELD(sandbox_require), "on", 0, 0, bool_words,
	    "Whether a part of the sandbox that the kernel lacks is an error when started by root." },
	{ "log.level", CONF_WORD, FIELD(log_level), "info", 0, 0, level_words,
	    "Lowest level that is logged." },
	{ "log.format", CONF_WORD, FIELD(log_format), "logfmt", 0, 0, format_words,
	    "Form of log lines: key=value, or one JSON object a line with the same keys." },
	{ "log.target", CONF_WORD, FIELD(log_target), "stderr", 0, 0, target_words,
	    "Where log lines go: standard error, which systemd's journal keeps, or syslog with facility mail." },
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

struct parse {
	struct conf		*c;
	struct conf_error	*error;
	const char		*text;
	size_t			 left;
	unsigned		 line;
	bool			 failed, cut;
	char			 section[128];	/* the last one that had a line of its own, */
	unsigned		 section_line;	/* which this was; 0: it has had a key */
	bool			 seen[NSETTINGS];
};

const struct conf_setting *
conf_settings(size_t *n)
{
	*n = NSETTINGS;
	return settings;
}

const struct conf_setting *
conf_find(const char *name)
{
	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static int
parse_word(const char *const *words, const char *word, uint8_t *value)
{
	for (uint8_t i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], word) == 0) {
			*value = i;
			return ERR_OK;
		}
	}
	return ERR_NOTFOUND;
}

static int
set_number(uint64_t *field, const struct conf_setting *s, const char *value)
{
	uint64_t v;
	int err;

	if (s->type == CONF_SIZE)
		err = str_parse_size(value, &v);
	else if (s->type == CONF_DURATION)
		err = str_parse_duration(value, &v);
	else
		err = str_parse_u64(value, strlen(value), UINT64_MAX, &v);
	if (err != ERR_OK)
		return ERR_SYNTAX;
	if (v < s->min || v > s->max)
		return ERR_TOOBIG;
	*field = v;
	return ERR_OK;
}

static int
set_bool(uint8_t *field, const char *value)
{
	static const char *const yes[] = { "yes", "true", "1", NULL }, *const no[] = { "no", "false", "0", NULL };
	uint8_t ignored;

	if (parse_word(bool_words, value, field) == ERR_OK)
		return ERR_OK;
	if (parse_word(yes, value, &ignored) != ERR_OK && parse_word(no, value, &ignored) != ERR_OK)
		return ERR_SYNTAX;
	*field = parse_word(yes, value, &ignored) == ERR_OK;
	return ERR_OK;
}

static int
set_value(struct conf *c, const struct conf_setting *s, const char *value)
{
	void *field = (char *)c + s->offset;

	switch (s->type) {
	case CONF_HOSTNAME:
		if (value[0] == '[' || !addr_is_domain(value, strlen(value), false))
			return ERR_SYNTAX;
		return str_copy(field, s->size, value, strlen(value));
	case CONF_SCHEDULE:
		return conf_is_schedule(value) ? str_copy(field, s->size, value, strlen(value)) : ERR_SYNTAX;
	case CONF_SERVERS:
		return conf_is_servers(value) ? str_copy(field, s->size, value, strlen(value)) : ERR_SYNTAX;
	case CONF_ADDRESS:
		return conf_is_address(value) ? str_copy(field, s->size, value, strlen(value)) : ERR_SYNTAX;
	case CONF_TEXT:
		return str_copy(field, s->size, value, strlen(value));
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_DURATION:
		return set_number(field, s, value);
	case CONF_BOOL:
		return set_bool(field, value);
	case CONF_WORD:
		return parse_word(s->words, value, field) == ERR_OK ? ERR_OK : ERR_SYNTAX;
	}
	return ERR_SYNTAX;
}

char *
conf_put_value(char *to, const struct conf *c, const struct conf_setting *s)
{
	const void *field = (const char *)c + s->offset;

	switch (s->type) {
	case CONF_HOSTNAME:
	case CONF_TEXT:
	case CONF_SCHEDULE:
	case CONF_SERVERS:
	case CONF_ADDRESS:
		snprintf(to, 1024, "%s", (const char *)field);
		break;
	case CONF_NUMBER:
		str_put_u64(to, *(const uint64_t *)field);
		break;
	case CONF_SIZE:
		str_put_size(to, *(const uint64_t *)field);
		break;
	case CONF_DURATION:
		str_put_duration(to, *(const uint64_t *)field);
		break;
	case CONF_BOOL:
	case CONF_WORD:
		snprintf(to, 1024, "%s", s->words[*(const uint8_t *)field]);
		break;
	}
	return to;
}

static int
fail(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
fail(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	if (!p->failed) {
		va_start(ap, fmt);
		vsnprintf(p->error->text, sizeof(p->error->text), fmt, ap);
		va_end(ap);
		p->error->line = p->line;
	}
	p->failed = true;
	return 0;
}

/* What values a setting takes, for an error message. */
static const char *
expected(char *to, size_t size, const struct conf_setting *s)
{
	char low[24], high[24];
	size_t used;

	switch (s->type) {
	case CONF_HOSTNAME:
		return "a host name such as mail.example.org";
	case CONF_TEXT:
		return "a shorter text";
	case CONF_SCHEDULE:
		return "times from 100ms to 7d divided by blanks, such as 1m 5m 30m 2h";
	case CONF_SERVERS:
		return "up to 3 addresses divided by blanks, such as 192.0.2.53 ::1@5353, or nothing";
	case CONF_ADDRESS:
		return "an address such as postmaster@example.org, or nothing";
	case CONF_BOOL:
		return "on or off";
	case CONF_WORD:
		used = (size_t)snprintf(to, size, "one of");
		for (size_t i = 0; s->words[i] != NULL && used < size; i++)
			used += (size_t)snprintf(to + used, size - used, " %s", s->words[i]);
		return to;
	case CONF_NUMBER:
		str_put_u64(low, s->min);
		str_put_u64(high, s->max);
		break;
	case CONF_SIZE:
		str_put_size(low, s->min);
		str_put_size(high, s->max);
		break;
	case CONF_DURATION:
		str_put_duration(low, s->min);
		str_put_duration(high, s->max);
		break;
	}
	snprintf(to, size, "a %s from %s to %s", s->type == CONF_NUMBER ? "number" : s->type == CONF_SIZE ?
	    "size such as 8M" : "time such as 30s", low, high);
	return to;
}

static int
set_plain(struct parse *p, const char *section, const char *key, const char *value)
{
	const struct conf_setting *s;
	char name[128], hint[400];

	if (str_fmt(name, sizeof(name), "%s%s%s", section, section[0] != 0 ? "." : "", key) != ERR_OK)
		return fail(p, "unknown setting");
	if ((s = conf_find(name)) == NULL)
		return fail(p, "%s", conf_explain_unknown(hint, sizeof(hint), section, key));
	if (p->seen[s - settings])
		return fail(p, "'%s' is set twice: remove one of the lines", name);
	p->seen[s - settings] = true;
	if (set_value(p->c, s, value) != ERR_OK)
		return fail(p, "'%s' is no value for %s: it takes %s", value, name, expected(hint, sizeof(hint), s));
	return 1;
}

/* What stands in "[word NAME]" behind the word, or NULL. */
static const char *
named(const char *section, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(section, word, n) != 0 || section[n] != ' ')
		return NULL;
	section += n + strspn(section + n, " ");
	return section[0] != 0 ? section : NULL;
}

static int
handle(void *user, const char *section, const char *key, const char *value)
{
	struct parse *p = user;
	struct conf_error error;
	const char *name;
	int err;

	p->section_line = 0;
	if ((name = named(section, "listener")) != NULL)
		err = conf_set_listener(p->c, name, key, value, p->line, &error);
	else if ((name = named(section, "certificate")) != NULL)
		err = conf_set_certificate(p->c, name, key, value, &error);
	else if ((name = named(section, "route")) != NULL)
		err = conf_set_route(p->c, name, key, value, p->line, &error);
	else
		return set_plain(p, section, key, value);
	return err == ERR_OK ? 1 : fail(p, "%s", error.text);
}

/* The parser of lines tells of a section with its first key: of one that has none only this does. */
static void
end_section(struct parse *p)
{
	unsigned line = p->line;
	char hint[400];

	if (p->section_line != 0 && !conf_is_section(p->section)) {
		p->line = p->section_line;
		fail(p, "%s", conf_explain_unknown(hint, sizeof(hint), p->section, ""));
		p->line = line;
	}
	p->section_line = 0;
}

static void
note_section(struct parse *p, const char *line)
{
	const char *end = line[0] == '[' ? strchr(line, ']') : NULL;
	size_t n = end != NULL ? (size_t)(end - line) - 1 : 0;

	if (end == NULL)
		return;
	end_section(p);
	if (n >= sizeof(p->section))
		n = sizeof(p->section) - 1;
	memcpy(p->section, line + 1, n);
	p->section[n] = 0;
	p->section_line = p->line;
}

/* Gives inih a line: counted, without leading blanks (an indented key is no continuation), and whole. */
static char *
read_line(char *to, int size, void *stream)
{
	struct parse *p = stream;
	const char *end;
	size_t n, blanks;

	if (p->left == 0 || p->failed)
		return NULL;
	p->line++;
	end = memchr(p->text, '\n', p->left);
	n = end != NULL ? (size_t)(end - p->text) + 1 : p->left;
	blanks = 0;
	while (blanks < n && (p->text[blanks] == ' ' || p->text[blanks] == '\t'))
		blanks++;
	if (n - blanks >= (size_t)size || n - blanks > CONF_LINE_MAX) {
		fail(p, "this line is over %d characters", CONF_LINE_MAX);
		return NULL;
	}
	if (memchr(p->text, 0, n) != NULL) {
		fail(p, "this line holds a NUL character");
		return NULL;
	}
	memcpy(to, p->text + blanks, n - blanks);
	to[n - blanks] = 0;
	p->text += n;
	p->left -= n;
	note_section(p, to);
	return to;
}

int
conf_parse(struct conf *c, const char *text, size_t len, struct conf_error *error)
{
	struct parse p = { .c = c, .error = error, .text = text, .left = len };
	int line;

	*error = (struct conf_error){ .line = 0 };
	*c = (struct conf){ .nlisteners = 0 };
	for (size_t i = 0; i < NSETTINGS; i++)
		set_value(c, &settings[i], settings[i].fallback);
	line = ini_parse_stream(read_line, &p, handle, &p);
	end_section(&p);
	if (line != 0 && (!p.failed || (line > 0 && (unsigned)line < error->line))) {
		p.failed = false;
		p.line = line > 0 ? (unsigned)line : 0;
		fail(&p, "this line is neither '[section]', 'key = value' nor a comment that starts with #");
	}
	if (!p.failed)
		p.failed = conf_complete_listeners(c, error) != ERR_OK || conf_complete_routes(c, error) != ERR_OK;
	conf_complete_certificates(c);
	return p.failed ? ERR_SYNTAX : ERR_OK;
}
