/*
 * The configuration file: what is taken, and which line is blamed with which words when it is not.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "unit.h"

static int
parse(struct conf *c, const char *text, struct conf_error *error)
{
	return conf_parse(c, text, strlen(text), error);
}

static void
defaults(void **state)
{
	static const char *const rows[][2] = {
		{ "hostname", "localhost" }, { "replies", "default" }, { "spool.path", "" }, { "workers.spare", "8" },
		{ "workers.max", "1000" }, { "limits.command_timeout", "30s" }, { "limits.data_timeout", "90s" },
		{ "limits.recipients", "100" }, { "limits.message_size", "8M" }, { "limits.attachment_size", "4M" },
		{ "limits.sessions_per_account", "10" }, { "limits.sessions_per_address", "200" }, { "limits.errors", "20" },
		{ "senders.check_header", "on" }, { "received.client", "off" }, { "local.submit", "on" }, { "sandbox.require", "on" }, { "tls.watch", "on" },
		{ "tls.watch_interval", "1m" }, { "auth.throttle_after", "20" }, { "auth.throttle_time", "10m" },
		{ "delivery.retry", "1m 5m 15m 30m 1h 2h 4h" }, { "delivery.expire", "5d" }, { "delivery.warn_after", "4h" },
		{ "delivery.sessions", "50" }, { "delivery.sessions_per_destination", "10" }, { "delivery.connect_timeout", "30s" },
		{ "delivery.timeout", "10m" }, { "delivery.postmaster", "" }, { "dns.servers", "" }, { "dns.dnssec", "on" },
		{ "trace.keep", "30d" }, { "log.level", "info" }, { "log.format", "logfmt" }, { "log.target", "stderr" },
	};
	struct conf_error error;
	char value[1024];
	struct conf c;

	(void)state;
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct conf_setting *s = conf_find(rows[i][0]);

		check_row(i, s != NULL && strcmp(conf_put_value(value, &c, s), rows[i][1]) == 0);
	}
	assert_int_equal(c.limits_command_timeout, 30000);
	assert_int_equal(c.limits_message_size, 8388608);
	assert_int_equal(c.nlisteners, 0);
}

/* Every row of the table: its default is a legal value, shows as itself, and its help is a sentence. */
static void
every_setting(void **state)
{
	const struct conf_setting *s;
	struct conf_error error;
	char text[4096], value[1024], again[1024];
	struct conf c;
	size_t n;

	(void)state;
	s = conf_settings(&n);
	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		const char *dot = strchr(s[i].name, '.');

		check_row(i, conf_find(s[i].name) == &s[i]);
		check_row(i, strlen(s[i].help) > 10 && s[i].help[strlen(s[i].help) - 1] == '.');
		check_row(i, parse(&c, "", &error) == ERR_OK);
		conf_put_value(value, &c, &s[i]);
		if (dot != NULL)
			snprintf(text, sizeof(text), "[%.*s]\n%s = %s\n", (int)(dot - s[i].name), s[i].name, dot + 1, value);
		else
			snprintf(text, sizeof(text), "%s = %s\n", s[i].name, value);
		if (parse(&c, text, &error) != ERR_OK) {
			print_error("%s: %s\n", s[i].name, error.text);
			fail();
		}
		check_row(i, strcmp(conf_put_value(again, &c, &s[i]), value) == 0);
	}
	assert_null(conf_find("limits"));
	assert_null(conf_find(""));
}

static void
good_file(void **state)
{
	static const char text[] =
	    "# Postern\n"
	    "hostname = mail.example.org\n"
	    "replies = rfc\n"
	    "\n"
	    "[limits]\n"
	    "  command_timeout = 5s\n"		/* an indented key is no continuation */
	    "\trecipients=7\n"
	    "; another comment\n"
	    "message_size = 1M ; a comment behind a value\n"
	    "[senders]\n"
	    "check_header = no\n"
	    "[listener submission]\n"
	    "address = 0.0.0.0:587\n"
	    "[listener six]\n"
	    "kind = submission\n"
	    "address = [::1]:587\n"
	    "[listener submissions]\n"
	    "address = 0.0.0.0:465\n"
	    "[listener printers]\n"
	    "kind = plain\n"
	    "address = 192.168.1.2:25\n"
	    "networks = 192.168.1.0/24, 10.0.0.0/8 fd00::/8\n";
	struct conf_error error;
	struct conf c;

	(void)state;
	assert_int_equal(parse(&c, text, &error), ERR_OK);
	assert_string_equal(c.hostname, "mail.example.org");
	assert_int_equal(c.replies_rfc, 1);
	assert_int_equal(c.limits_command_timeout, 5000);
	assert_int_equal(c.limits_recipients, 7);
	assert_int_equal(c.limits_message_size, 1048576);
	assert_int_equal(c.senders_check_header, 0);
	assert_int_equal(c.nlisteners, 4);
	assert_string_equal(c.listeners[0].name, "submission");
	assert_int_equal(c.listeners[0].kind, LISTENER_SUBMISSION);
	assert_int_equal(c.listeners[0].address.port, 587);
	assert_int_equal(c.listeners[1].kind, LISTENER_SUBMISSION);
	assert_int_equal(c.listeners[1].address.family, 6);
	assert_int_equal(c.listeners[2].kind, LISTENER_SUBMISSIONS);
	assert_int_equal(c.listeners[3].kind, LISTENER_PLAIN);
	assert_int_equal(c.listeners[3].nnetworks, 3);
}

/* Bytes in front of, behind and between lines. */
static void
forms_of_a_file(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	 recipients;
	} rows[] = {
		{ "[limits]\r\nrecipients = 7\r\n", 7 },
		{ "[limits]\nrecipients = 7", 7 },
		{ "[limits]\nrecipients:7\n", 7 },
		{ "\xef\xbb\xbf[limits]\nrecipients = 7\n", 7 },
		{ "\n\n  \n\t\n[limits]\n\n\nrecipients = 7\n\n", 7 },
		{ "[limits] ; comment\nrecipients = 7 ; comment\n", 7 },
		{ "# [limits]\n[limits]\n#recipients = 8\nrecipients = 7\n", 7 },
		{ "[limits]\nrecipients = 7   \n", 7 },
		{ "[limits]\nerrors = 3\n[workers]\nmax = 5\n[limits]\nrecipients = 7\n", 7 },	/* a section may come again */
	};
	struct conf_error error;
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, parse(&c, rows[i].text, &error) == ERR_OK);
		check_row(i, c.limits_recipients == rows[i].recipients);
	}
}

static const struct {
	const char	*text;
	unsigned	 line;
	const char	*says;		/* a part of the message */
} bad[] = {
	{ "[limits]\nrecipient = 5\n", 2, "did you mean 'limits.recipients'" },
	{ "recipients = 5\n", 1, "did you mean 'limits.recipients'" },
	{ "[limit]\nrecipients = 5\n", 2, "did you mean 'limits.recipients'" },
	{ "[spool]\npaht = /x\n", 2, "did you mean 'spool.path'" },
	{ "[limts]\n", 1, "there is no section [limts], did you mean [limits]?" },
	{ "\n [limts] \n# nothing\n[limits]\nrecipients = 0\n", 2, "did you mean [limits]?" },
	{ "[limits]\n[listner x]", 2, "did you mean [listener x]?" },
	{ "[zzzzzzzz]\n", 1, "there is no section [zzzzzzzz]; there are" },
	{ "[route]\n", 1, "did you mean [route NAME]?" },
	{ "hostnam = x\n", 1, "did you mean 'hostname'" },
	{ "[limits]\nzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 5\n", 2, "unknown setting" },
	{ "[limits]\nrecipients = 5\nerrors = 3\nrecipients = 5\n", 4, "set twice" },
	{ "[limits]\nrecipients = 5\n[limits]\nrecipients = 6\n", 4, "set twice" },
	{ "[limits]\nrecipients =\n", 2, "it takes a number from 1 to 10000" },
	{ "[limits]\nrecipients = 0\n", 2, "it takes a number from 1 to 10000" },
	{ "[limits]\nrecipients = 10001\n", 2, "it takes a number from 1 to 10000" },
	{ "[limits]\nrecipients = 5 # five\n", 2, "it takes a number" },
	{ "[limits]\nrecipients = 1e3\n", 2, "it takes a number" },
	{ "[limits]\nrecipients = -5\n", 2, "it takes a number" },
	{ "[limits]\ncommand_timeout = 99ms\n", 2, "such as 30s" },
	{ "[limits]\ncommand_timeout = 2d\n", 2, "such as 30s" },
	{ "[limits]\nmessage_size = 8MB\n", 2, "such as 8M" },
	{ "[limits]\nmessage_size = 1023\n", 2, "from 1K" },
	{ "[senders]\ncheck_header = maybe\n", 2, "on or off" },
	{ "replies = RFC\n", 1, "one of default rfc" },
	{ "hostname = \n", 1, "a host name" },
	{ "hostname = a b\n", 1, "a host name" },
	{ "hostname = [127.0.0.1]\n", 1, "a host name" },
	{ "hostname = mail..example\n", 1, "a host name" },
	{ "\n\nnonsense\n", 3, "neither" },
	{ "[limits\nrecipients = 5\n", 1, "neither" },
	{ "nonsense\n[limits]\nrecipients = 0\n", 1, "neither" },	/* the first error counts */
	{ "[limits]\nrecipients = 0\nnonsense\n", 2, "it takes" },
	{ "[listener a]\naddress = 127.0.0.1:25\n", 2, "has no kind" },
	{ "\n[listener submission]\nkind = submission\n", 3, "has no address" },
	{ "[listener a]\nkind = smtp\n", 2, "use submission, submissions or plain" },
	{ "[listener submission]\naddress = localhost:25\n", 2, "ADDRESS:PORT" },
	{ "[listener submission]\naddress = 127.0.0.1:0\n", 2, "ADDRESS:PORT" },
	{ "[listener submission]\naddress = 127.0.0.1\n", 2, "ADDRESS:PORT" },
	{ "[listener submission]\naddress = 127.0.0.1:1\naddress = 127.0.0.1:2\n", 3, "set twice" },
	{ "[listener submission]\nkind = plain\nkind = plain\n", 3, "set twice" },
	{ "[listener submission]\nadress = 127.0.0.1:1\n", 2, "unknown key 'adress'" },
	{ "[listener plain]\naddress = 0.0.0.0:25\n", 2, "has no TLS" },
	{ "[listener plain]\naddress = [::]:25\n", 2, "has no TLS" },
	{ "[listener plain]\naddress = 192.168.1.1:25\n", 2, "has no TLS" },
	{ "[listener plain]\naddress = 127.0.0.1:25\nnetworks = 192.168.1.1/24\n", 3, "not a network" },
	{ "[listener a]\nkind=plain\naddress=127.0.0.1:25\n[listener b]\nkind=submission\naddress=127.0.0.1:25\n", 5, "same address" },
	{ "[listener ]\nkind = plain\n", 2, "did you mean [listener NAME]?" },
	{ "[certificate a]\nfile = x\n", 2, "unknown key 'file'" },
	{ "[certificate a]\nkey = x\nkey = y\n", 3, "set twice" },
	{ "[certificate a]\nkey =\n", 2, "no file name" },
	{ "[certificate a/b]\nkey = x\n", 2, "no name for a certificate" },
	{ "[certificate ..]\nkey = x\n", 2, "no name for a certificate" },
	{ "[certificate a b]\nkey = x\n", 2, "no name for a certificate" },
	{ "[certificate aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nkey = x\n", 2, "too long" },
	{ "[certificate]\nkey = x\n", 2, "did you mean [certificate NAME]?" },
	{ "[tls]\nwatch_interval = 99ms\n", 2, "such as 30s" },
	{ "[delivery]\nretry =\n", 2, "times from 100ms to 7d" },
	{ "[delivery]\nretry = 1m 99ms\n", 2, "times from 100ms to 7d" },
	{ "[delivery]\nretry = 1m 8d\n", 2, "times from 100ms to 7d" },
	{ "[delivery]\nretry = soon\n", 2, "times from 100ms to 7d" },
	{ "[delivery]\nexpire = 0\n", 2, "from 1s to 30d" },
	{ "[delivery]\npostmaster = root\n", 2, "an address such as" },
	{ "[dns]\nservers = ns.example.org\n", 2, "addresses divided by blanks" },
	{ "[dns]\nservers = 192.0.2.0/24\n", 2, "addresses divided by blanks" },
	{ "[dns]\nservers = 192.0.2.1@0\n", 2, "addresses divided by blanks" },
	{ "[dns]\nservers = 192.0.2.1@\n", 2, "addresses divided by blanks" },
	{ "[dns]\nservers = 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4\n", 2, "up to 3 addresses" },
	{ "[route]\nurl = mx:\n", 2, "did you mean [route NAME]?" },
	{ "[listener]\nkind = plain\n", 2, "did you mean [listener NAME]?" },
	{ "[listener aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nkind = plain\n", 2, NULL },
};

static void
bad_files(void **state)
{
	struct conf_error error;
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		int err = parse(&c, bad[i].text, &error);

		if (err != ERR_SYNTAX || error.line != bad[i].line ||
		    (bad[i].says != NULL && strstr(error.text, bad[i].says) == NULL)) {
			print_error("row %zu: %d, line %u: %s\n", i, err, error.line, error.text);
			fail();
		}
		check_row(i, strchr(error.text, '\n') == NULL);
	}
}

static void
plain_listener_rules(void **state)
{
	static const char *const good[] = {
		"[listener plain]\naddress = 127.0.0.1:25\n",
		"[listener plain]\naddress = 127.1.2.3:25\n",
		"[listener plain]\naddress = [::1]:25\n",
		"[listener plain]\naddress = [::ffff:127.0.0.1]:25\n",
		"[listener plain]\naddress = 0.0.0.0:25\nnetworks = 10.0.0.0/8\n",
	};
	struct conf_error error;
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		check_row(i, parse(&c, good[i], &error) == ERR_OK && c.listeners[0].kind == LISTENER_PLAIN);
	/* Sections with nothing in them. */
	assert_int_equal(parse(&c, "[limits]\n[senders]\n[]\n[listener x]\n[route y]\n", &error), ERR_OK);
}

static void
long_lines(void **state)
{
	struct conf_error error;
	char text[1024];
	struct conf c;

	(void)state;
	for (int blanks = 0; blanks <= 40; blanks += 40) {
		for (int length = CONF_LINE_MAX - 3; length <= CONF_LINE_MAX + 3; length++) {
			/* "path = /xxx\n" of so many octets, its end included. */
			int n = snprintf(text, sizeof(text), "[spool]\n%*spath = /%0*d\n", blanks, "", length - 9, 0);
			int err = conf_parse(&c, text, (size_t)n, &error);

			if (length > CONF_LINE_MAX) {
				assert_int_equal(err, ERR_SYNTAX);
				assert_int_equal(error.line, 2);
				assert_non_null(strstr(error.text, "over"));
			} else {
				assert_int_equal(err, ERR_OK);
				assert_int_equal(strlen(c.spool_path), length - 8);	/* nothing was cut off */
			}
		}
	}
	/* A comment that is too long is not taken for a setting. */
	snprintf(text, sizeof(text), "# %0400d recipients = 3\n", 0);
	assert_int_equal(parse(&c, text, &error), ERR_SYNTAX);
	assert_int_equal(error.line, 1);
}

static void
odd_octets(void **state)
{
	static const char nul[] = "hostname = a\0b\n", nul_later[] = "\n[limits]\nrecipients = 5\0\n";
	struct conf_error error;
	struct conf c;
	char noise[64];
	uint32_t seed = 7;

	(void)state;
	assert_int_equal(conf_parse(&c, TEXT(nul), &error), ERR_SYNTAX);
	assert_int_equal(error.line, 1);
	assert_non_null(strstr(error.text, "NUL"));
	assert_int_equal(conf_parse(&c, TEXT(nul_later), &error), ERR_SYNTAX);
	assert_int_equal(error.line, 3);
	for (size_t round = 0; round < 20000; round++) {
		static const char alphabet[] = "[]=;#: \n\rlimitsrecipients.5\xc3\0";

		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1664525 + 1013904223;
			noise[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		conf_parse(&c, noise, round % sizeof(noise), &error);	/* the sanitizer build looks */
	}
}

static void
too_many_listeners(void **state)
{
	struct conf_error error;
	char text[8192];
	struct conf c;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < CONF_LISTENERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[listener l%d]\nkind=submission\naddress=127.0.0.1:%d\n", i, 1000 + i);
	assert_int_equal(conf_parse(&c, text, n, &error), ERR_OK);
	assert_int_equal(c.nlisteners, CONF_LISTENERS_MAX);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "[listener more]\nkind=submission\naddress=127.0.0.1:1\n");
	assert_int_equal(conf_parse(&c, text, n, &error), ERR_SYNTAX);
	assert_int_equal(error.line, 3 * CONF_LISTENERS_MAX + 2);
	n = (size_t)snprintf(text, sizeof(text), "[listener plain]\naddress=127.0.0.1:1\nnetworks=");
	for (int i = 0; i <= CONF_NETWORKS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d.0.0.0/8 ", i + 1);
	assert_int_equal(conf_parse(&c, text, n, &error), ERR_SYNTAX);
	assert_int_equal(error.line, 3);
}

static void
pairs_of_files(void **state)
{
	static const char text[] = "[tls]\nkey = k.pem\nwatch = off\n[certificate web]\ncertificate = w.pem\nkey = wk.pem\n"
	    "[certificate  mail.example.net]\ncertificate = m.pem\n";
	struct conf_error error;
	struct conf_pair p;
	char many[4096];
	struct conf c;
	size_t n = 0;

	(void)state;
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	assert_true(conf_pair(&c, 0, &p));
	assert_string_equal(p.certificate, "tls/certificate.pem");
	assert_string_equal(p.key_setting, "tls.key");
	assert_false(conf_pair(&c, 1, &p));
	assert_int_equal(parse(&c, text, &error), ERR_OK);
	assert_int_equal(c.tls_watch, 0);
	assert_int_equal(c.ncertificates, 2);
	assert_true(conf_pair(&c, 0, &p));
	assert_string_equal(p.name, "");
	assert_string_equal(p.key, "k.pem");
	assert_true(conf_pair(&c, 1, &p));
	assert_string_equal(p.name, "web");
	assert_string_equal(p.certificate, "w.pem");
	assert_string_equal(p.key, "wk.pem");
	assert_string_equal(p.certificate_setting, "certificate.web.certificate");
	assert_true(conf_pair(&c, 2, &p));
	assert_string_equal(p.certificate, "m.pem");
	assert_string_equal(p.key, "tls/mail.example.net-key.pem");
	assert_string_equal(p.key_setting, "certificate.mail.example.net.key");
	assert_false(conf_pair(&c, 3, &p));
	for (int i = 0; i < CONF_CERTIFICATES_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "[certificate c%d]\nkey=k\n", i);
	assert_int_equal(conf_parse(&c, many, n, &error), ERR_OK);
	assert_true(conf_pair(&c, CONF_PAIRS_MAX - 1, &p));
	assert_false(conf_pair(&c, CONF_PAIRS_MAX, &p));
	n += (size_t)snprintf(many + n, sizeof(many) - n, "[certificate more]\nkey=k\n");
	assert_int_equal(conf_parse(&c, many, n, &error), ERR_SYNTAX);
	assert_int_equal(error.line, 2 * CONF_CERTIFICATES_MAX + 2);
}

static void
names_of_kinds(void **state)
{
	enum listener_kind kind;

	(void)state;
	for (int i = 0; i < LISTENER_LOCAL; i++) {
		assert_int_equal(conf_parse_listener_kind(conf_listener_kind((enum listener_kind)i), &kind), ERR_OK);
		assert_int_equal(kind, i);
	}
	assert_string_equal(conf_listener_kind(LISTENER_LOCAL), "local");
	assert_int_equal(conf_parse_listener_kind("local", &kind), ERR_NOTFOUND);
	assert_int_equal(conf_parse_listener_kind("smtps", &kind), ERR_NOTFOUND);
	assert_int_equal(conf_parse_listener_kind("", &kind), ERR_NOTFOUND);
}

static void
files_and_descriptors(void **state)
{
	char folder[] = "/tmp/postern-unit.XXXXXX", path[64], *text;
	struct conf_error error;
	struct conf c;
	size_t len;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/c", folder);
	assert_int_equal(conf_load(&c, path, NULL, NULL, &error), ERR_NOTFOUND);
	assert_int_equal(error.line, 0);
	assert_non_null(strstr(error.text, "no such file"));
	assert_true((fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) >= 0);
	assert_int_equal(write(fd, "hostname = a.example\n", 21), 21);
	assert_int_equal(conf_load(&c, path, &text, &len, &error), ERR_OK);
	assert_string_equal(c.hostname, "a.example");
	assert_int_equal(len, 21);
	assert_string_equal(text, "hostname = a.example\n");
	free(text);
	assert_int_equal(conf_load(&c, path, NULL, NULL, &error), ERR_OK);
	assert_int_equal(conf_load_fd(&c, fd, &error), ERR_OK);
	assert_int_equal(conf_load_fd(&c, fd, &error), ERR_OK);	/* from its start, however often */
	assert_string_equal(c.hostname, "a.example");
	assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 1), 0);
	assert_int_equal(conf_load(&c, path, NULL, NULL, &error), ERR_TOOBIG);
	assert_int_equal(conf_load_fd(&c, fd, &error), ERR_TOOBIG);
	close(fd);
	unlink(path);
	rmdir(folder);
	assert_int_equal(conf_load_fd(&c, -1, &error), ERR_SYSTEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_setting),
		cmocka_unit_test(good_file),
		cmocka_unit_test(forms_of_a_file),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(plain_listener_rules),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(odd_octets),
		cmocka_unit_test(too_many_listeners),
		cmocka_unit_test(pairs_of_files),
		cmocka_unit_test(names_of_kinds),
		cmocka_unit_test(files_and_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
