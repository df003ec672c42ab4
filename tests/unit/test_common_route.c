/*
 * Sections [route NAME]: URLs, what fits together, and which recipient takes which route.
 */
#include <string.h>

#include "conf.h"
#include "err.h"
#include "unit.h"

static int
parse(struct conf *c, const char *text, struct conf_error *error)
{
	return conf_parse(c, text, strlen(text), error);
}

static void
urls(void **state)
{
	static const struct {
		const char	*url;
		enum route_kind	 kind;
		enum route_tls	 tls;
		const char	*host;
		uint16_t	 port;
		const char	*path, *user;
	} rows[] = {
		{ "smtp://mail.example.org", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "mail.example.org", 25, "", "" },
		{ "smtp://mail.example.org:587", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "mail.example.org", 587, "", "" },
		{ "SMTP://Mail.example.org:587/", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "Mail.example.org", 587, "", "" },
		{ "smtp://192.0.2.1", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "192.0.2.1", 25, "", "" },
		{ "smtp://[2001:db8::1]", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "2001:db8::1", 25, "", "" },
		{ "smtp://[2001:db8::1]:2525", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "2001:db8::1", 2525, "", "" },
		{ "smtp://localhost:65535", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "localhost", 65535, "", "" },
		{ "smtp://joe@mail.example.org", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "mail.example.org", 25, "", "joe" },
		{ "smtp://joe@example.org@mail.example.org", ROUTE_SMTP, ROUTE_TLS_OPPORTUNISTIC, "mail.example.org", 25, "",
		    "joe@example.org" },
		{ "smtps://mail.example.org", ROUTE_SMTPS, ROUTE_TLS_VERIFIED, "mail.example.org", 465, "", "" },
		{ "lmtp://127.0.0.1:2003", ROUTE_LMTP, ROUTE_TLS_NONE, "127.0.0.1", 2003, "", "" },
		{ "lmtp://mail", ROUTE_LMTP, ROUTE_TLS_NONE, "mail", 24, "", "" },
		{ "lmtp:/run/dovecot/lmtp", ROUTE_LMTP, ROUTE_TLS_NONE, "", 0, "/run/dovecot/lmtp", "" },
		{ "mx:", ROUTE_MX, ROUTE_TLS_OPPORTUNISTIC, "", 25, "", "" },
		{ "mx:2525", ROUTE_MX, ROUTE_TLS_OPPORTUNISTIC, "", 2525, "", "" },
		{ "discard:", ROUTE_DISCARD, ROUTE_TLS_NONE, "", 0, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_route r = { .name = "x" };
		struct conf_error error;

		check_row(i, conf_parse_route_url(&r, rows[i].url, &error) == ERR_OK);
		check_row(i, r.kind == rows[i].kind && r.tls == rows[i].tls && r.port == rows[i].port);
		check_row(i, strcmp(r.host, rows[i].host) == 0 && strcmp(r.path, rows[i].path) == 0 && strcmp(r.user, rows[i].user) == 0);
		check_row(i, strncasecmp(conf_route_kind(r.kind), rows[i].url, strlen(conf_route_kind(r.kind))) == 0);
	}
}

static void
bad_urls(void **state)
{
	static const struct {
		const char	*url, *says;
	} rows[] = {
		{ "", "no URL" }, { "mail.example.org", "no URL" }, { "http://mail.example.org", "no URL" }, { "smtp:mail", "no URL" },
		{ "smtp://", "no host" }, { "smtp://:25", "no host" }, { "smtp://a b", "no host" }, { "smtp://mail/x", "no host" },
		{ "smtp://mail:0", "no port" }, { "smtp://mail:65536", "no port" }, { "smtp://mail:", "no port" },
		{ "smtp://mail:25x", "no port" }, { "smtp://2001:db8::1", "no port" }, { "smtp://[2001:db8::1", "brackets" },
		{ "smtp://[2001:db8::1]25", "brackets" }, { "smtp://[127.0.0.1]", "no host" }, { "smtp://[mail]", "no host" },
		{ "smtp://[::1%lo]", "no host" }, { "smtp://[::/0]", "no host" }, { "smtp://joe:secret@mail", "password" },
		{ "smtp://joe:@mail", "password" }, { "smtp://@mail", "the user" }, { "lmtp:", "no path" }, { "lmtp:run/x", "no path" },
		{ "lmtp:/", "no path" }, { "mx:example.org", "nothing stands" }, { "mx://", "nothing stands" }, { "mx:0", "nothing stands" },
		{ "mx:65536", "nothing stands" }, { "discard:x", "nothing stands" },
		{ "lmtp:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    "no path" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf_route r = { .name = "x" };
		struct conf_error error = { .text = "" };

		if (conf_parse_route_url(&r, rows[i].url, &error) == ERR_OK || strstr(error.text, rows[i].says) == NULL) {
			print_error("row %zu: %s\n", i, error.text);
			fail();
		}
		/* A password is not told on. */
		check_row(i, strstr(error.text, "secret") == NULL);
	}
}

static void
good_routes(void **state)
{
	static const char text[] =
	    "[route provider]\n"
	    "user = joe@example.org\n"
	    "url = smtp://mail.example.net:587\n"
	    "[route house]\n"
	    "url = lmtp:/run/lmtp\n"
	    "to_domain = Example.ORG, *.example.org example.org\n"
	    "to_domain = example.com\n"
	    "return_path = on\n"
	    "sessions = 3\n"
	    "[route  old]\n"
	    "tls = none\n"
	    "url = smtp://10.0.0.1\n"
	    "account = Printer\n"
	    "[route six]\n"
	    "url = smtps://joe@[::1]\n"
	    "tls = required\n"
	    "secret = /etc/six\n"
	    "from_domain = b\xc3\xbc""cher.example\n"
	    "[route exact]\n"
	    "url = mx:\n"
	    "tls = verified\n"
	    "ca = tls/ca.pem\n"
	    "from_domain = example.net\n"
	    "[route local]\n"
	    "url = smtp://joe@127.0.0.1\n"
	    "tls = none\n"
	    "account = cron\n";
	struct conf_error error;
	struct conf c;

	(void)state;
	assert_int_equal(parse(&c, text, &error), ERR_OK);
	assert_int_equal(c.nroutes, 6);
	assert_string_equal(c.routes[0].name, "provider");
	assert_int_equal(c.routes[0].tls, ROUTE_TLS_VERIFIED);		/* by its user */
	assert_string_equal(c.routes[0].user, "joe@example.org");
	assert_string_equal(c.routes[0].secret, "routes/provider.secret");
	assert_int_equal(c.routes[0].line, 2);
	assert_string_equal(c.routes[1].to_domains, "example.org *.example.org example.com");
	assert_true(c.routes[1].return_path);
	assert_int_equal(c.routes[1].sessions, 3);
	assert_string_equal(c.routes[1].secret, "");
	assert_string_equal(c.routes[2].name, "old");
	assert_int_equal(c.routes[2].tls, ROUTE_TLS_NONE);		/* also before its url */
	assert_string_equal(c.routes[2].accounts, "printer");
	assert_int_equal(c.routes[3].tls, ROUTE_TLS_REQUIRED);
	assert_string_equal(c.routes[3].user, "joe");
	assert_string_equal(c.routes[3].secret, "/etc/six");
	assert_string_equal(c.routes[4].ca, "tls/ca.pem");
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	assert_int_equal(c.nroutes, 0);
}

static void
bad_routes(void **state)
{
	static const struct {
		const char	*text;
		unsigned	 line;
		const char	*says;
	} rows[] = {
		{ "[route a]\ntls = none\n", 2, "has no url" },
		{ "[route a]\nurl = mx:\nurl = mx:\n", 3, "set twice" },
		{ "[route a]\nurl = x:\n", 2, "no URL" },
		{ "[route a]\nulr = mx:\n", 2, "unknown key 'ulr'" },
		{ "[route a b]\nurl = mx:\n", 2, "no name for a route" },
		{ "[route ../a]\nurl = mx:\n", 2, "no name for a route" },
		{ "[route .a]\nurl = mx:\n", 2, "no name for a route" },
		{ "[route aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nurl = mx:\n", 2, "over 36" },
		{ "[route a]\nurl = mx:\ntls = maybe\n", 3, "none, opportunistic, required or verified" },
		{ "[route a]\nurl = smtps://h\ntls = opportunistic\n", 2, "required or verified" },
		{ "[route a]\nurl = lmtp:/x\ntls = required\n", 2, "no connection that TLS" },
		{ "[route a]\nurl = mx:\nuser = joe\n", 2, "nobody to log in to" },
		{ "[route a]\nurl = smtp://joe@h\nuser = joe\n", 3, "set twice" },
		{ "[route a]\nuser = joe\nurl = smtp://joe@h\n", 3, "set twice" },
		{ "[route a]\nurl = smtp://h\nsecret = x\n", 2, "no user" },
		{ "[route a]\nurl = smtp://h\nuser = joe\ntls = none\n", 2, "in the clear" },
		{ "[route a]\nurl = smtp://h\nuser = joe\ntls = opportunistic\n", 2, "in the clear" },
		{ "[route a]\nurl = lmtp://h\nuser = joe\n", 2, "in the clear" },
		{ "[route a]\nurl = smtp://h\nca = x\n", 2, "verified' only" },
		{ "[route a]\nurl = smtp://h\nreturn_path = on\n", 2, "LMTP only" },
		{ "[route a]\nurl = lmtp:/x\nreturn_path = yes\n", 3, "on or off" },
		{ "[route a]\nurl = mx:\nsessions = 0\n", 3, "from 1 to 1000" },
		{ "[route a]\nurl = mx:\nto_domain =\n", 3, "is empty" },
		{ "[route a]\nurl = mx:\nto_domain = a@b\n", 3, "no domain" },
		{ "[route a]\nurl = mx:\nto_domain = *\n", 3, "no domain" },
		{ "[route a]\nurl = mx:\nto_domain = a.*.b\n", 3, "no domain" },
		{ "[route a]\nurl = mx:\n\n[route b]\nurl = discard:\n", 5, "both for all other mail" },
		{ "[route a]\nurl = mx:\nto_domain = x y\n[route b]\nurl = discard:\nto_domain = Y\n", 5, "'y' is to_domain of both" },
		{ "[route a]\nurl = mx:\naccount = x\n[route b]\nurl = discard:\naccount = X\n", 5, "'x' is account of both" },
		{ "[route a]\nurl = smtp://joe:secret@h\n", 2, "password" },
	};
	struct conf_error error;
	struct conf c;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int err = parse(&c, rows[i].text, &error);

		if (err != ERR_SYNTAX || error.line != rows[i].line || strstr(error.text, rows[i].says) == NULL) {
			print_error("row %zu: %d, line %u: %s\n", i, err, error.line, error.text);
			fail();
		}
	}
}

static void
which_route(void **state)
{
	static const char text[] =
	    "[route all]\nurl = discard:\n"
	    "[route house]\nurl = mx:\nto_domain = example.org *.example.org\n"
	    "[route deep]\nurl = mx:\nto_domain = *.b.example.org c.a.example.org\n"
	    "[route person]\nurl = mx:\naccount = alice@example.org\n"
	    "[route company]\nurl = mx:\nfrom_domain = example.com\n";
	static const struct {
		const char *account, *from, *to, *route;
	} rows[] = {
		{ "", "", "", "all" },
		{ "bob", "example.net", "example.net", "all" },
		{ "bob", "example.net", "example.org", "house" },
		{ "bob", "example.net", "EXAMPLE.Org", "house" },
		{ "bob", "example.net", "a.example.org", "house" },
		{ "bob", "example.net", "b.example.org", "house" },
		{ "bob", "example.net", "x.b.example.org", "deep" },
		{ "bob", "example.net", "x.y.b.example.org", "deep" },
		{ "bob", "example.net", "c.a.example.org", "deep" },
		{ "bob", "example.net", "badexample.org", "all" },
		{ "alice@example.org", "example.com", "example.net", "person" },
		{ "ALICE@example.org", "example.com", "example.net", "person" },
		{ "alice@example.org", "example.com", "example.org", "house" },
		{ "bob", "example.com", "example.net", "company" },
		{ "bob", "a.example.com", "example.net", "all" },
		{ "bob", "", "[192.0.2.1]", "all" },
	};
	struct conf_error error;
	struct conf c;

	(void)state;
	assert_int_equal(parse(&c, text, &error), ERR_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct conf_route *r = conf_find_route(&c, rows[i].account, rows[i].from, rows[i].to);

		check_row(i, r != NULL && strcmp(r->name, rows[i].route) == 0);
	}
	assert_int_equal(parse(&c, strchr(text + 1, '['), &error), ERR_OK);	/* without the one for all other mail */
	assert_null(conf_find_route(&c, "bob", "example.net", "example.net"));
	assert_non_null(conf_find_route(&c, "bob", "example.net", "example.org"));
	assert_int_equal(parse(&c, "", &error), ERR_OK);
	assert_null(conf_find_route(&c, "bob", "example.net", "example.net"));
}

static void
as_many_as_there_may_be(void **state)
{
	struct conf_error error;
	char text[8192];
	struct conf c;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < CONF_ROUTES_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[route r%d]\nurl=mx:\nto_domain=d%d\n", i, i);
	assert_int_equal(conf_parse(&c, text, n, &error), ERR_OK);
	assert_int_equal(c.nroutes, CONF_ROUTES_MAX);
	snprintf(text + n, sizeof(text) - n, "[route more]\nurl=mx:\n");
	assert_int_equal(parse(&c, text, &error), ERR_SYNTAX);
	assert_int_equal(error.line, 3 * CONF_ROUTES_MAX + 2);
	/* A list that is full is an error, and not cut. */
	n = (size_t)snprintf(text, sizeof(text), "[route a]\nurl=mx:\n");
	for (int i = 0; i < 10; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "to_domain=");
		for (int j = 0; j < 10; j++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "d%02d%02d.example ", i, j);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	}
	assert_int_equal(conf_parse(&c, text, n, &error), ERR_SYNTAX);
	assert_non_null(strstr(error.text, "more words"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(bad_urls),
		cmocka_unit_test(good_routes),
		cmocka_unit_test(bad_routes),
		cmocka_unit_test(which_route),
		cmocka_unit_test(as_many_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
