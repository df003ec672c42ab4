/*
 * postern-spool when things do not go at once: dead destinations, expiry, reports of each kind, routes that change.
 * The test is master, auth, worker and relay.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "relay_driver.h"
#include "state.h"
#include "unit.h"

#define ROUTE "[route out]\nurl = smtp://192.0.2.1:25\ntls = none\n"
#define MX "[route out]\nurl = mx:\n"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

static struct fixture f;
static int relay = -1, worker = -1;
static uint32_t t;

static void
start(const char *text)
{
	alarm(120);
	t = 0;
	fixture_open(&f, text);
	if (!fixture_start(&f)) {
		print_error("%s\n", f.failed);
		fail();
	}
	relay = relay_link(&f);
	worker = fixture_grant(&f, 0x77);
}

static void
finish(void)
{
	io_close(&relay);
	io_close(&worker);
	if (f.pid > 0)
		assert_int_equal(fixture_stop(&f), 0);
	assert_false(fixture_log_has(&f, "sandbox: unknown system call"));
	fixture_close(&f);
}

static void
submit(const char *sender, const char *to, uint8_t notify, char id[IPC_TEXT_MAX])
{
	struct ipc_envelope_recipient m = { .session = 0x77, .t = ++t, .recipient.notify = notify };
	uint8_t data[2048];
	struct wire_out w;

	fixture_sender(&f, 0x77, t, sender, 1 << 20, false);
	assert_int_equal(addr_parse(&m.recipient.address, to, strlen(to), true), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_recipient(&w, &m);
	assert_int_equal(ipc_send(f.link, &w, NULL, 0, true), ERR_OK);
	assert_int_equal(worker_submit(worker, t, plain, sizeof(plain) - 1, id), COMMIT_STORED);
}

static void
assert_gone(void)
{
	assert_true(fixture_has(&f, SPOOL_NEW, 0, 5000));
	assert_true(fixture_has(&f, SPOOL_CUR, 0, 5000));
	assert_true(fixture_has_states(&f, 0, 3000));
}

static void
read_state(const char *id, struct state *s)
{
	struct spool_dirs d;

	assert_int_equal(spool_open(&d, f.spool), ERR_OK);
	assert_int_equal(state_read(&d, id, 1, s), ERR_OK);
	spool_close(&d);
}

static const struct ipc_finished dead = { .outcome = { .verdict = DELIVERY_DEFERRED, .stage = DELIVERY_CONNECT, .enhanced = "4.4.1",
    .reply = "no answer from mx.dead.example" }, .is_dead = true, .host = "mx.dead.example" };

/* Two thousand messages for a destination that is dead cost it a few attempts, and another destination no time. */
static void
test_dead(void **state)
{
	char id[IPC_TEXT_MAX];
	struct state s;
	struct got g;
	size_t tried = 0;
	uint64_t began;

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 20s 60s\n" MX);
	for (size_t i = 0; i < 2000; i++) {
		submit("alice@example.org", "bob@Dead.example", 0, id);
		while (relay_next(relay, &g, 0)) {
			assert_string_equal(g.deliver.domain, tried == 0 ? g.deliver.domain : "Dead.example");
			got_finish_as(&g, &dead);
			assert_true(got_is_answered(&g, 5000));
			tried++;
		}
	}
	began = io_now_ms();
	submit("alice@example.org", "bob@live.example", 0, id);
	assert_true(relay_next(relay, &g, 2000));
	assert_string_equal(g.deliver.domain, "live.example");
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_true(io_now_ms() - began < 1500);
	assert_true(tried >= 1 && tried <= 3);
	assert_true(fixture_has(&f, SPOOL_CUR, 2000, 20000));
	assert_int_equal(fixture_count(&f, SPOOL_NEW), 0);
	assert_true(fixture_has_states(&f, 2000, 3000));
	/* The destination comes to life: the first one that is tried takes all the others with it. */
	while (!relay_next(relay, &g, 40000))
		fail();
	memcpy(id, g.deliver.id, sizeof(g.deliver.id));
	read_state(id, &s);
	assert_string_equal(s.recipients[0].reply, dead.outcome.reply);
	assert_int_equal(s.recipients[0].stage, DELIVERY_CONNECT);
	assert_int_equal(s.tries, 1);
	state_free(&s);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	began = io_now_ms();
	for (size_t i = 1; i < 2000; i++) {
		check_row(i, relay_next(relay, &g, 5000));
		got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	}
	print_message("1999 deliveries one by one in %llu ms\n", (unsigned long long)(io_now_ms() - began));
	assert_gone();
	finish();
}

/* Several deliveries that meet one failure at the same time are one failure: the back-off is its first step. */
static void
test_dead_at_once(void **state)
{
	char id[IPC_TEXT_MAX];
	struct got g[2];

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 1s 60s\n" ROUTE);
	for (size_t i = 0; i < 2; i++) {
		submit("alice@example.org", "bob@example.net", 0, id);
		assert_true(relay_next(relay, &g[i], 5000));
	}
	for (size_t i = 0; i < 2; i++) {
		got_finish_as(&g[i], &dead);
		assert_true(got_is_answered(&g[i], 5000));
	}
	assert_true(relay_next(relay, &g[0], 5000));
	got_settle(&g[0], DELIVERY_DELIVERED, 250, "Ok");
	assert_true(relay_next(relay, &g[1], 5000));
	got_settle(&g[1], DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	finish();
}

/* A destination is given a few at first, more as it takes them, and no more than twice its sessions. */
static void
test_concurrency(void **state)
{
	struct got g[40];
	char id[IPC_TEXT_MAX];
	size_t n = 0;

	(void)state;
	start("min_free = 0\n[delivery]\nsessions_per_destination = 4\n" ROUTE);
	for (size_t i = 0; i < 40; i++)
		submit("alice@example.org", "bob@example.net", 0, id);
	while (n < 40 && relay_next(relay, &g[n], 300))
		n++;
	assert_int_equal(n, 2);
	for (size_t i = 0; i < 6; i++) {
		got_settle(&g[i], DELIVERY_DELIVERED, 250, "Ok");
		while (n < 40 && relay_next(relay, &g[n], 200))
			n++;
		check_row(i, n - i - 1 == i + 3);
	}
	for (size_t i = 6; i < 32; i++) {
		got_settle(&g[i], DELIVERY_DELIVERED, 250, "Ok");
		assert_true(relay_next(relay, &g[n++], 2000));
		check_row(i, n - i - 1 == 8);
	}
	for (size_t i = 32; i < 40; i++)
		got_settle(&g[i], DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	finish();
}

/* The first attempts are at the times of delivery.retry; at the end of its time it is returned, after one last attempt. */
static void
test_expiry(void **state)
{
	char id[IPC_TEXT_MAX], *text;
	uint64_t began, at[8];
	struct state s;
	struct got g;
	size_t n = 0;

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 1s 2s\nexpire = 4s\nwarn_after = 0\n" ROUTE);
	began = io_now_ms();
	submit("alice@example.org", "bob@example.net", 0, id);
	for (;;) {
		assert_true(relay_next(relay, &g, 5000));
		if (strcmp(g.deliver.id, id) != 0)
			break;
		assert_true(n < 8);
		at[n++] = io_now_ms() - began;
		got_settle(&g, DELIVERY_DEFERRED, 451, "come back later");
		if (n == 2) {
			read_state(id, &s);
			assert_int_equal(s.tries, 2);
			assert_int_equal(s.recipients[0].code, 451);
			assert_string_equal(s.recipients[0].host, "mx.example.net");
			assert_true(s.next_us > io_now_us() && s.next_us < io_now_us() + 3000000);
			state_free(&s);
		}
	}
	assert_int_equal(n, 4);
	assert_true(at[0] < 700 && at[1] > 900 && at[1] < 1700 && at[2] > 2900 && at[2] < 3700 && at[3] > 3900 && at[3] < 4700);
	text = got_message(&g);
	assert_non_null(strstr(text, "4.4.7"));
	assert_non_null(strstr(text, "come back later"));
	free(text);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	finish();
}

/* The delay notice: once, when it is time, with an attempt right before; not where NOTIFY forbids it. */
static void
test_delay(void **state)
{
	char id[IPC_TEXT_MAX], silent[IPC_TEXT_MAX], *text;
	size_t notices = 0;
	struct state s;
	struct got g;
	uint64_t until;

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 700ms\nexpire = 60s\nwarn_after = 2s\n" ROUTE);
	submit("alice@example.org", "bob@example.net", 0, id);
	submit("alice@example.org", "carol@example.net", DSN_NOTIFY_FAILURE, silent);
	until = io_now_ms() + 4500;
	while (io_now_ms() < until) {
		if (!relay_next(relay, &g, 100))
			continue;
		if (strcmp(g.deliver.id, id) == 0 || strcmp(g.deliver.id, silent) == 0) {
			got_settle(&g, DELIVERY_DEFERRED, 451, "come back later");
			continue;
		}
		notices++;
		assert_string_equal(g.addresses[0], "alice@example.org");
		text = got_message(&g);
		assert_non_null(strstr(text, "Action: delayed"));
		assert_non_null(strstr(text, "bob@example.net"));
		assert_null(strstr(text, "carol@example.net"));
		free(text);
		got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	}
	assert_int_equal(notices, 1);
	read_state(id, &s);
	assert_true(s.warned_us != 0);
	state_free(&s);
	finish();
}

/* RFC 3461: who is told of what. */
static void
test_notify(void **state)
{
	static const struct {
		uint8_t			notify;
		enum delivery_verdict	verdict;
		bool			relayed_dsn;
		const char		*action;	/* of the report, NULL: none */
	} rows[] = {
		{ 0, DELIVERY_DELIVERED, false, NULL },
		{ 0, DELIVERY_FAILED, false, "Action: failed" },
		{ DSN_NOTIFY_NEVER, DELIVERY_FAILED, false, NULL },
		{ DSN_NOTIFY_SUCCESS, DELIVERY_FAILED, false, NULL },
		{ DSN_NOTIFY_DELAY, DELIVERY_FAILED, false, NULL },
		{ DSN_NOTIFY_FAILURE, DELIVERY_FAILED, false, "Action: failed" },
		{ DSN_NOTIFY_SUCCESS, DELIVERY_DELIVERED, false, "Action: relayed" },
		{ DSN_NOTIFY_SUCCESS, DELIVERY_DELIVERED, true, NULL },
		{ DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE, DELIVERY_FAILED, true, "Action: failed" },
	};
	char id[IPC_TEXT_MAX], *text;
	struct got g;

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 20s\n" ROUTE);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ipc_finished m = { .outcome = { .verdict = rows[i].verdict, .stage = DELIVERY_END, .code = 550, .enhanced = "5.1.1",
		    .reply = "words" }, .relayed_dsn = rows[i].relayed_dsn };

		submit("alice@example.org", "bob@example.net", rows[i].notify, id);
		check_row(i, relay_next(relay, &g, 5000) && strcmp(g.deliver.id, id) == 0);
		check_row(i, g.notify[0] == rows[i].notify);
		got_finish_as(&g, &m);
		assert_true(got_is_answered(&g, 5000));
		check_row(i, relay_next(relay, &g, 400) == (rows[i].action != NULL));
		if (rows[i].action == NULL)
			continue;
		text = got_message(&g);
		check_row(i, strstr(text, rows[i].action) != NULL);
		free(text);
		got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	}
	assert_gone();
	finish();
}

/* Never a bounce to a bounce: a report that fails is kept. The postmaster's copy goes along. */
static void
test_failed_report(void **state)
{
	char id[IPC_TEXT_MAX], report[IPC_TEXT_MAX];
	bool has_copy = false, has_report = false;
	struct state s;
	struct got g;

	(void)state;
	start("min_free = 0\n[delivery]\nretry = 20s\npostmaster = postmaster@example.org\n" ROUTE);
	submit("alice@example.org", "bob@example.net", 0, id);
	assert_true(relay_next(relay, &g, 5000));
	got_settle(&g, DELIVERY_FAILED, 550, "no such user");
	for (int i = 0; i < 2; i++) {
		assert_true(relay_next(relay, &g, 5000));
		assert_true(addr_is_null(&g.deliver.sender.address));
		if (strcmp(g.addresses[0], "postmaster@example.org") == 0) {
			has_copy = true;
			got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
			continue;
		}
		has_report = true;
		memcpy(report, g.deliver.id, sizeof(g.deliver.id));
		got_settle(&g, DELIVERY_FAILED, 550, "alice has left");
	}
	assert_true(has_copy && has_report);
	assert_false(relay_next(relay, &g, 500));
	assert_int_equal(fixture_count(&f, SPOOL_FAILED), 1);
	read_state(report, &s);
	assert_int_equal(s.recipients[0].status, RECIPIENT_REPORTED);
	assert_string_equal(s.recipients[0].reply, "alice has left");
	state_free(&s);
	assert_int_equal(fixture_count(&f, SPOOL_NEW) + fixture_count(&f, SPOOL_CUR), 0);
	/* Its state stays with it over a restart. */
	io_close(&worker);
	fixture_kill(&f);
	io_close(&relay);
	assert_true(fixture_start(&f));
	assert_int_equal(fixture_states(&f), 1);
	finish();
}

static void
reload(const char *text)
{
	int conf = memfd_create("conf", 0);
	uint8_t data[16];
	struct wire_out w;

	assert_int_equal(write(conf, text, strlen(text)), strlen(text));
	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_RELOAD);
	assert_int_equal(ipc_send(f.control, &w, &conf, 1, true), ERR_OK);
	close(conf);
}

/* Without a route nothing is done; what has none waits and says so; a new configuration sets it going. */
static void
test_routes(void **state)
{
	char id[IPC_TEXT_MAX], other[IPC_TEXT_MAX];
	struct state s;
	struct got g;

	(void)state;
	start("min_free = 0");
	submit("alice@example.org", "bob@a.example", 0, id);
	submit("alice@example.org", "bob@b.example", 0, other);
	assert_false(relay_next(relay, &g, 500));
	assert_int_equal(fixture_count(&f, SPOOL_NEW), 2);
	assert_true(fixture_has_states(&f, 0, 3000));
	reload("hostname = mail.example.org\n[route a]\nurl = smtp://192.0.2.1:25\nto_domain = a.example\n[route far]\nurl = mx:\n"
	    "to_domain = far.example\n");
	assert_true(relay_next(relay, &g, 5000));
	assert_string_equal(g.deliver.id, id);
	assert_string_equal(g.deliver.route, "a");
	assert_true(fixture_has(&f, SPOOL_CUR, 1, 5000));
	read_state(other, &s);
	assert_int_equal(s.recipients[0].stage, DELIVERY_ROUTE);
	assert_non_null(strstr(s.recipients[0].reply, "no route"));
	assert_int_equal(s.tries, 0);
	state_free(&s);
	/* The route goes while the delivery is under way: it is finished all the same, and tried again elsewhere. */
	reload("hostname = mail.example.org\n[route b]\nurl = smtp://192.0.2.2:25\n[delivery]\nretry = 1s\n");
	got_settle(&g, DELIVERY_DEFERRED, 450, "later");
	for (int i = 0; i < 2; i++) {
		assert_true(relay_next(relay, &g, 8000));
		assert_string_equal(g.deliver.route, "b");
		got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	}
	assert_gone();
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_dead_at_once),
		cmocka_unit_test(test_concurrency),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_failed_report),
		cmocka_unit_test(test_routes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
