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
static const char *const kind_words[] = { "submission", "submissions", "plain", NULL };

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
	bool			 seen[NSETTINGS];
	bool			 listener_has_kind[CONF_LISTENERS_MAX], listener_has_address[CONF_LISTENERS_MAX];
	unsigned		 listener_line[CONF_LISTENERS_MAX];
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

const char *
conf_nearest(const char *name)
{
	const char *names[NSETTINGS];
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; i < NSETTINGS; i++)
		names[i] = settings[i].name;
	/* The right word in the wrong section is nearer than any misspelling. */
	for (size_t i = 0; i < NSETTINGS; i++) {
		const char *other = strrchr(names[i], '.');

		if (strcmp(dot != NULL ? dot + 1 : name, other != NULL ? other + 1 : names[i]) == 0)
			return names[i];
	}
	return str_nearest(name, names, NSETTINGS);
}

const char *
conf_listener_kind(enum listener_kind kind)
{
	return kind_words[kind];
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

int
conf_parse_listener_kind(const char *word, enum listener_kind *kind)
{
	uint8_t value;

	if (parse_word(kind_words, word, &value) != ERR_OK)
		return ERR_NOTFOUND;
	*kind = (enum listener_kind)value;
	return ERR_OK;
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
find_listener(struct parse *p, const char *name, size_t *index)
{
	struct conf *c = p->c;

	for (size_t i = 0; i < c->nlisteners; i++) {
		if (strcmp(c->listeners[i].name, name) == 0) {
			*index = i;
			return ERR_OK;
		}
	}
	if (c->nlisteners == CONF_LISTENERS_MAX ||
	    str_copy(c->listeners[c->nlisteners].name, sizeof(c->listeners[0].name), name, strlen(name)) != ERR_OK)
		return ERR_TOOBIG;
	p->listener_line[c->nlisteners] = p->line;
	*index = c->nlisteners++;
	return ERR_OK;
}

static int
set_networks(struct parse *p, struct conf_listener *l, const char *value)
{
	while (*value != 0) {
		size_t n = strcspn(value, " \t,");
		char word[64];

		if (n != 0) {
			if (l->nnetworks == CONF_NETWORKS_MAX)
				return fail(p, "a listener takes at most %d networks", CONF_NETWORKS_MAX);
			if (str_copy(word, sizeof(word), value, n) != ERR_OK ||
			    netmask_parse(&l->networks[l->nnetworks], word) != ERR_OK)
				return fail(p, "'%.*s' is not a network such as 192.168.1.0/24", (int)n, value);
			l->nnetworks++;
		}
		value += n + (value[n] != 0);
	}
	return 1;
}

static int
set_listener(struct parse *p, const char *name, const char *key, const char *value)
{
	struct conf_listener *l;
	size_t i;

	if (find_listener(p, name, &i) != ERR_OK)
		return fail(p, "too many listeners, or the name '%s' is too long", name);
	l = &p->c->listeners[i];
	if (strcmp(key, "kind") == 0) {
		if (p->listener_has_kind[i])
			return fail(p, "kind of listener '%s' is set twice", name);
		p->listener_has_kind[i] = true;
		if (conf_parse_listener_kind(value, &l->kind) != ERR_OK)
			return fail(p, "kind '%s' of listener '%s' is unknown: use submission, submissions or plain", value, name);
		return 1;
	}
	if (strcmp(key, "address") == 0) {
		if (p->listener_has_address[i])
			return fail(p, "address of listener '%s' is set twice: give each address a section of its own", name);
		p->listener_has_address[i] = true;
		if (netaddr_parse(&l->address, value) != ERR_OK || l->address.port == 0)
			return fail(p, "address '%s' of listener '%s' is not ADDRESS:PORT, such as 0.0.0.0:587 or [::]:587", value, name);
		return 1;
	}
	if (strcmp(key, "networks") == 0)
		return set_networks(p, l, value);
	return fail(p, "unknown key '%s' in [listener %s]: the keys are kind, address and networks", key, name);
}

static int
set_plain(struct parse *p, const char *section, const char *key, const char *value)
{
	const struct conf_setting *s;
	char name[128], hint[256];
	const char *nearest;

	if (str_fmt(name, sizeof(name), "%s%s%s", section, section[0] != 0 ? "." : "", key) != ERR_OK)
		return fail(p, "unknown setting");
	if ((s = conf_find(name)) == NULL) {
		nearest = conf_nearest(name);
		return fail(p, "unknown setting '%s'%s%s%s", name, nearest != NULL ? ", did you mean '" : "",
		    nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
	}
	if (p->seen[s - settings])
		return fail(p, "'%s' is set twice: remove one of the lines", name);
	p->seen[s - settings] = true;
	if (set_value(p->c, s, value) != ERR_OK)
		return fail(p, "'%s' is no value for %s: it takes %s", value, name, expected(hint, sizeof(hint), s));
	return 1;
}

static int
set_certificate(struct parse *p, const char *name, const char *key, const char *value)
{
	struct conf_error error;

	return conf_set_certificate(p->c, name, key, value, &error) == ERR_OK ? 1 : fail(p, "%s", error.text);
}

static int
handle(void *user, const char *section, const char *key, const char *value)
{
	struct parse *p = user;

	if (strncmp(section, "listener ", 9) == 0 && section[9] != 0)
		return set_listener(p, section + 9 + strspn(section + 9, " "), key, value);
	if (strncmp(section, "certificate ", 12) == 0 && section[12] != 0)
		return set_certificate(p, section + 12 + strspn(section + 12, " "), key, value);
	return set_plain(p, section, key, value);
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
	return to;
}

static void
check_listeners(struct parse *p)
{
	struct conf *c = p->c;

	for (size_t i = 0; i < c->nlisteners && !p->failed; i++) {
		struct conf_listener *l = &c->listeners[i];

		p->line = p->listener_line[i];
		if (!p->listener_has_kind[i] && conf_parse_listener_kind(l->name, &l->kind) != ERR_OK)
			fail(p, "listener '%s' has no kind: add 'kind = submission', submissions or plain", l->name);
		else if (!p->listener_has_address[i])
			fail(p, "listener '%s' has no address: add one such as 'address = 0.0.0.0:587'", l->name);
		else if (l->kind == LISTENER_PLAIN && !netaddr_is_loopback(&l->address) && l->nnetworks == 0)
			fail(p, "listener '%s' has no TLS, so passwords would cross the network in the clear: use a loopback "
			    "address, or name the local networks with 'networks = 192.168.1.0/24'", l->name);
		for (size_t j = 0; j < i && !p->failed; j++)
			if (netaddr_is_equal(&l->address, &c->listeners[j].address))
				fail(p, "listeners '%s' and '%s' have the same address", c->listeners[j].name, l->name);
	}
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
	if (line != 0 && (!p.failed || (line > 0 && (unsigned)line < error->line))) {
		p.failed = false;
		p.line = line > 0 ? (unsigned)line : 0;
		fail(&p, "this line is neither '[section]', 'key = value' nor a comment that starts with #");
	}
	check_listeners(&p);
	conf_complete_certificates(c);
	return p.failed ? ERR_SYNTAX : ERR_OK;
}
