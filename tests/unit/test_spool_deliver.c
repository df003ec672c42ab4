/*
 * postern-spool's deliveries: what relay is given, what becomes of the answers, retries, reports, expiry. The test is master, auth,
 * worker and relay.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "relay_driver.h"
#include "unit.h"

static const char settings[] = "min_free = 0\n[delivery]\nretry = 1s 2s\nexpire = 60s\nwarn_after = 0\n[route out]\nurl = smtp://192.0.2.1:25\n"
    "tls = none\n";
static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nReturn-Path: <evil@example.com>\r\nSubject: hello\r\n\r\nhello\r\n";

struct stage {
	struct fixture	f;
	int		link;		/* relay's end */
	int		worker;
	uint32_t	t;
};

static struct stage s;

static int
start(const char *text)
{
	alarm(120);
	s = (struct stage){ .link = -1, .worker = -1 };
	fixture_open(&s.f, text);
	if (!fixture_start(&s.f)) {
		print_error("%s\n", s.f.failed);
		return -1;
	}
	s.link = relay_link(&s.f);
	s.worker = fixture_grant(&s.f, 0x77);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return start(settings);
}

static int
teardown(void **state)
{
	(void)state;
	io_close(&s.link);
	io_close(&s.worker);
	if (s.f.pid > 0)
		assert_int_equal(fixture_stop(&s.f), 0);
	if (fixture_log_has(&s.f, "sandbox: unknown system call"))
		return -1;
	fixture_close(&s.f);
	return 0;
}

/* kill -9, and again; relay is linked anew, READY not yet said. */
static void
restart(void)
{
	io_close(&s.worker);
	fixture_kill(&s.f);
	io_close(&s.link);
	assert_true(fixture_start(&s.f));
	s.link = relay_link_silent(&s.f);
	s.worker = fixture_grant(&s.f, 0x78);
}

/* One more recipient of the next message. */
static void
recipient(const char *address, uint8_t notify)
{
	struct ipc_envelope_recipient m = { .session = s.t < 1000000 ? 0x77 : 0x78, .t = s.t, .recipient.notify = notify };
	uint8_t data[2048];
	struct wire_out w;

	assert_int_equal(addr_parse(&m.recipient.address, address, strlen(address), true), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_envelope_recipient(&w, &m);
	assert_int_equal(ipc_send(s.f.link, &w, NULL, 0, true), ERR_OK);
}

static void
submit_from(const char *sender, const char *const *to, size_t n, uint8_t notify, char id[IPC_TEXT_MAX])
{
	s.t++;
	fixture_sender(&s.f, 0x77, s.t, sender, 1 << 20, false);
	for (size_t i = 0; i < n; i++)
		recipient(to[i], notify);
	assert_int_equal(worker_submit(s.worker, s.t, plain, sizeof(plain) - 1, id), COMMIT_STORED);
}

static void
submit(size_t n, char id[IPC_TEXT_MAX])
{
	static const char *const to[] = { "bob@example.net", "carol@example.net", "dave@example.com" };

	submit_from("alice@example.org", to, n, 0, id);
}

static void
expect(struct got *g, const char *id, size_t n)
{
	assert_true(relay_next(s.link, g, 5000));
	if (id != NULL)
		assert_string_equal(g->deliver.id, id);
	assert_int_equal(g->n, n);
}

static void
assert_gone(void)
{
	assert_true(fixture_has(&s.f, SPOOL_NEW, 0, 5000));
	assert_true(fixture_has(&s.f, SPOOL_CUR, 0, 5000));
	assert_true(fixture_has_states(&s.f, 0, 3000));
	assert_int_equal(fixture_count(&s.f, SPOOL_TMP), 0);
}

static void
test_delivered(void **state)
{
	char id[IPC_TEXT_MAX], *text;
	struct got g;

	(void)state;
	submit(3, id);
	expect(&g, id, 3);
	assert_string_equal(g.deliver.route, "out");
	assert_string_equal(g.deliver.domain, "");
	assert_string_equal(g.deliver.sender.address.text, "alice@example.org");
	assert_string_equal(g.addresses[1], "carol@example.net");
	assert_int_equal(g.indexes[2], 2);
	text = got_message(&g);
	assert_memory_equal(text, "Received: ", 10);
	assert_non_null(strstr(text, "Subject: hello\r\n"));
	assert_non_null(strstr(text, "\r\n\r\nhello\r\n"));
	assert_null(strstr(text, "evil"));
	free(text);
	assert_true(fixture_usage_is(&s.f, 1, g.deliver.sender.size));
	assert_int_equal(fixture_count(&s.f, SPOOL_NEW), 1);
	got_settle(&g, DELIVERY_DELIVERED, 250, "2.0.0 Ok");
	/* Answered means gone for good. */
	assert_int_equal(fixture_count(&s.f, SPOOL_NEW), 0);
	assert_gone();
	assert_true(fixture_usage_is(&s.f, 0, 0));
}

/* One delivered, one to be tried again, one failed: each has its own end, and the sender is told of the failure. */
static void
test_mixed(void **state)
{
	char id[IPC_TEXT_MAX], *text;
	struct got g, report;

	(void)state;
	submit(3, id);
	expect(&g, id, 3);
	got_result(&g, 0, DELIVERY_DELIVERED, 250, "Ok");
	got_result(&g, 2, DELIVERY_FAILED, 550, "no such user here");
	got_settle(&g, DELIVERY_DEFERRED, 451, "greylisted");
	/* The report goes at once, and to nobody but the sender. */
	expect(&report, NULL, 1);
	assert_string_not_equal(report.deliver.id, id);
	assert_true(addr_is_null(&report.deliver.sender.address));
	assert_string_equal(report.addresses[0], "alice@example.org");
	assert_int_equal(report.notify[0], DSN_NOTIFY_NEVER);
	text = got_message(&report);
	assert_non_null(strstr(text, "multipart/report"));
	assert_non_null(strstr(text, "dave@example.com"));
	assert_non_null(strstr(text, "no such user here"));
	assert_null(strstr(text, "bob@example.net\r\nAction: failed"));
	free(text);
	assert_int_equal(fixture_states(&s.f), 1);
	assert_int_equal(fixture_count(&s.f, SPOOL_CUR), 1);
	got_settle(&report, DELIVERY_DELIVERED, 250, "Ok");
	expect(&g, id, 1);
	assert_string_equal(g.addresses[0], "carol@example.net");
	assert_int_equal(g.indexes[0], 1);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	assert_true(fixture_usage_is(&s.f, 0, 0));
}

/* Given back untried: it comes again, and nothing is written. */
static void
test_returned(void **state)
{
	char id[IPC_TEXT_MAX];
	struct got g;

	(void)state;
	submit(2, id);
	expect(&g, id, 2);
	got_settle(&g, DELIVERY_RETURNED, 0, "");
	assert_true(fixture_has_states(&s.f, 0, 3000));
	assert_int_equal(fixture_count(&s.f, SPOOL_NEW), 1);
	expect(&g, id, 2);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

/* The session process dies: what it had told stays so, the rest is tried again. */
static void
test_broken_off(void **state)
{
	char id[IPC_TEXT_MAX];
	struct spool_envelope e;
	struct got g;

	(void)state;
	submit(3, id);
	expect(&g, id, 3);
	got_result(&g, 1, DELIVERY_DELIVERED, 250, "Ok");
	got_close(&g);
	expect(&g, id, 2);
	assert_string_equal(g.addresses[0], "bob@example.net");
	assert_string_equal(g.addresses[1], "dave@example.com");
	got_close(&g);
	assert_false(relay_next(s.link, &g, 1000));
	expect(&g, id, 2);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	assert_null(fixture_message(&s.f, id, &e));
}

/* Frames that make no sense end that delivery, which counts as broken off. */
static void
test_bad_frames(void **state)
{
	char id[IPC_TEXT_MAX];
	struct ipc_finished m = { .number = 1 };
	uint8_t data[1024];
	struct wire_out w;
	struct got g;

	(void)state;
	submit(2, id);
	for (int i = 0; i < 3; i++) {
		expect(&g, id, 2);
		wire_out_init(&w, data, sizeof(data));
		if (i == 0) {
			got_result(&g, 2, DELIVERY_DELIVERED, 250, "not its recipient");
		} else if (i == 1) {
			ipc_put_finished(&w, &m);
			ipc_send(g.socket, &w, NULL, 0, true);
		} else {
			ipc_put_empty(&w, IPC_RELAY_READY);
			ipc_send(g.socket, &w, NULL, 0, true);
		}
		assert_int_equal(ipc_recv(g.socket, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), true, &(struct ipc_message){ .nfds = 0 }),
		    ERR_CLOSED);
		got_close(&g);
	}
	assert_true(fixture_log_has(&s.f, "relay.bad_frame"));
	expect(&g, id, 2);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

/* kill -9 of the spool at each step. */
static void
test_killed(void **state)
{
	char id[IPC_TEXT_MAX];
	struct got g, again;

	(void)state;
	/* Nothing was told: it is tried again, unless relay says that it has it. */
	submit(3, id);
	expect(&g, id, 3);
	restart();
	assert_false(relay_next(s.link, &again, 300));
	relay_ready(s.link);
	expect(&again, id, 3);
	got_close(&g);
	got_result(&again, 0, DELIVERY_DELIVERED, 250, "Ok");
	got_settle(&again, DELIVERY_DEFERRED, 450, "later");
	/* What was answered is never forgotten. */
	restart();
	relay_ready(s.link);
	expect(&g, id, 2);
	/* A session process that has it goes on, and tells the new spool. */
	restart();
	relay_underway(s.link, &g);
	relay_ready(s.link);
	assert_false(relay_next(s.link, &again, 2500));
	got_result(&g, 1, DELIVERY_DELIVERED, 250, "Ok");
	got_settle(&g, DELIVERY_DEFERRED, 450, "later");
	expect(&g, id, 1);
	assert_int_equal(g.indexes[0], 2);
	/* Its end told just before the kill: done or not, but not lost. */
	got_finish(&g, DELIVERY_DELIVERED, 250, "Ok");
	restart();
	if (fixture_count(&s.f, SPOOL_CUR) != 0) {
		relay_underway(s.link, &g);
		relay_ready(s.link);
		got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	} else {
		/* A delivery that the spool knows nothing of: the end of the socket says so. */
		relay_underway(s.link, &g);
		relay_ready(s.link);
		assert_false(got_is_answered(&g, 0));
	}
	assert_gone();
	assert_false(relay_next(s.link, &again, 1500));
}

/* UNDERWAY of what is not there, and with recipients that are not. */
static void
test_unknown_underway(void **state)
{
	char id[IPC_TEXT_MAX];
	uint8_t data[64];
	struct ipc_message m;
	struct got g = { .n = 1, .file = -1, .socket = -1 };

	(void)state;
	memcpy(g.deliver.id, "0123456789abcdef", 17);
	relay_underway(s.link, &g);
	assert_int_equal(ipc_recv(g.socket, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), true, &m), ERR_CLOSED);
	got_close(&g);
	submit(1, id);
	expect(&g, id, 1);
	restart();
	g.indexes[0] = 7;
	relay_underway(s.link, &g);
	assert_int_equal(ipc_recv(g.socket, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), true, &m), ERR_CLOSED);
	got_close(&g);
	relay_ready(s.link);
	expect(&g, id, 1);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

/* More recipients than one delivery takes. */
static void
test_many_recipients(void **state)
{
	static char addresses[250][32];
	const char *to[250];
	char id[IPC_TEXT_MAX];
	struct got g;

	(void)state;
	for (size_t i = 0; i < 250; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "u%zu@example.net", i);
		to[i] = addresses[i];
	}
	submit_from("alice@example.org", to, 250, 0, id);
	expect(&g, id, 100);
	assert_string_equal(g.addresses[99], "u99@example.net");
	got_result(&g, 50, DELIVERY_DEFERRED, 450, "later");
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	expect(&g, id, 100);
	assert_int_equal(g.indexes[0], 100);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	expect(&g, id, 50);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	expect(&g, id, 1);
	assert_int_equal(g.indexes[0], 50);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

/* Whatever one delivery says, it settles no recipient as delivered that it was not given. */
static void
test_dead_and_delivered(void **state)
{
	struct ipc_finished m = { .outcome = { .verdict = DELIVERY_DELIVERED, .stage = DELIVERY_END, .code = 250, .enhanced = "2.0.0",
	    .reply = "Ok" }, .is_dead = true };
	static char addresses[101][32];
	const char *to[101];
	char id[IPC_TEXT_MAX];
	struct got g;

	(void)state;
	for (size_t i = 0; i < 101; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "u%zu@example.net", i);
		to[i] = addresses[i];
	}
	submit_from("alice@example.org", to, 101, 0, id);
	expect(&g, id, 100);
	got_finish_as(&g, &m);
	got_is_answered(&g, 5000);
	expect(&g, id, 1);
	assert_int_equal(g.indexes[0], 100);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

/* Relay is away, comes, and a new one replaces it: what it had is finished over its own sockets. */
static void
test_links(void **state)
{
	char id[IPC_TEXT_MAX], other[IPC_TEXT_MAX];
	struct got g, next;
	int old;

	(void)state;
	submit(1, id);
	expect(&g, id, 1);
	old = s.link;
	s.link = relay_link_silent(&s.f);
	submit(1, other);
	assert_false(relay_next(s.link, &next, 300));
	relay_ready(s.link);
	expect(&next, other, 1);
	got_settle(&next, DELIVERY_DELIVERED, 250, "Ok");
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
	close(old);
	io_close(&s.link);
	submit(1, id);
	usleep(200000);
	assert_int_equal(fixture_count(&s.f, SPOOL_NEW), 1);
	assert_true(fixture_has_states(&s.f, 0, 3000));
	s.link = relay_link(&s.f);
	expect(&g, id, 1);
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_gone();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delivered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_returned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_underway, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_and_delivered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
