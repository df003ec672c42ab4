/*
 * The link on which spool has mail signed: domains, answers, garbage, and a spool that does not read.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "dkim_fixture.h"
#include "dkim_serve.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "loop.h"
#include "unit.h"

/* A link to a loop that this very process turns. */
struct fixture {
	struct loop	loop;
	struct dkim_key	keys[3];
	int		fd;
};

static void
open_link(struct fixture *f)
{
	int fds[2], null_fd;

	dkim_open_key(&f->keys[0], DKIM_RSA, "example.net", "one");
	dkim_open_key(&f->keys[1], DKIM_RSA, "example.org", "two");
	dkim_open_key(&f->keys[2], DKIM_ED25519, "example.org", "three");
	assert_int_equal(loop_open(&f->loop), ERR_OK);
	assert_int_equal(ipc_pair(fds), ERR_OK);
	dkim_serve_open(f->keys, COUNT(f->keys));
	dkim_serve_link(&f->loop, fds[1]);
	f->fd = fds[0];
	log_open("test", LOG_LEVEL_ALARM);
	/* What is refused is logged. */
	assert_true((null_fd = open("/dev/null", O_WRONLY)) >= 0);
	assert_true(dup2(null_fd, STDERR_FILENO) >= 0);
	close(null_fd);
}

static void
close_link(struct fixture *f)
{
	io_close(&f->fd);
	assert_int_equal(loop_run_once(&f->loop, 100), ERR_OK);
	dkim_serve_close(&f->loop);
	io_close(&f->loop.epoll_fd);
	for (size_t i = 0; i < COUNT(f->keys); i++)
		dkim_key_release(&f->keys[i]);
}

static uint8_t data[IPC_DATAGRAM_MAX];

static struct ipc_dkim_sign_answer
exchange(struct fixture *f, const struct ipc_dkim_sign *m)
{
	struct ipc_dkim_sign_answer a;
	struct ipc_message got;
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_dkim_sign(&w, m);
	assert_int_equal(ipc_send(f->fd, &w, NULL, 0, false), ERR_OK);
	assert_int_equal(loop_run_once(&f->loop, 1000), ERR_OK);
	assert_int_equal(ipc_recv(f->fd, IPC_SPOOL_FROM_KEYS, data, sizeof(data), false, &got), ERR_OK);
	assert_int_equal(got.kind, IPC_DKIM_SIGN_ANSWER);
	assert_int_equal(ipc_get_dkim_sign_answer(&got.body, &a), ERR_OK);
	assert_int_equal(a.number, m->number);
	return a;
}

static void
domains_are_told(void **state)
{
	struct ipc_message got;
	struct ipc_dkim_keys k;
	struct fixture f;

	(void)state;
	open_link(&f);
	assert_int_equal(ipc_recv(f.fd, IPC_SPOOL_FROM_KEYS, data, sizeof(data), false, &got), ERR_OK);
	assert_int_equal(got.kind, IPC_DKIM_KEYS);
	assert_int_equal(ipc_get_dkim_keys(&got.body, &k), ERR_OK);
	assert_true(k.is_last);
	assert_int_equal(k.n, 2);
	assert_string_equal(k.domains[0], "example.net");
	assert_string_equal(k.domains[1], "example.org");
	close_link(&f);
}

static void
drain(struct fixture *f)
{
	struct ipc_message got;

	assert_int_equal(ipc_recv(f->fd, IPC_SPOOL_FROM_KEYS, data, sizeof(data), false, &got), ERR_OK);
}

static void
questions(void **state)
{
	struct ipc_dkim_sign m;
	struct ipc_dkim_sign_answer a;
	struct fixture f;
	const uint8_t *second;

	(void)state;
	open_link(&f);
	drain(&f);
	m = dkim_ask("example.org", "From: a@example.org\r\nSubject: x\r\n");
	a = exchange(&f, &m);
	assert_int_equal(a.verdict, DKIM_SIGNED);
	assert_memory_equal(a.fields, "DKIM-Signature: v=1; a=rsa-sha256;", 34);
	assert_non_null(second = memmem(a.fields + 1, a.fields_len - 1, "DKIM-Signature: v=1; a=ed25519-sha256;", 38));
	assert_memory_equal(second - 2, "\r\n", 2);
	assert_memory_equal(a.fields + a.fields_len - 2, "\r\n", 2);
	m = dkim_ask("example.com", "From: a@example.com\r\n");
	a = exchange(&f, &m);
	assert_int_equal(a.verdict, DKIM_NO_KEY);
	for (size_t i = 0; i < dkim_judged_count; i++) {
		m = dkim_ask(dkim_judged[i].domain, dkim_judged[i].fields);
		a = exchange(&f, &m);
		check_row(i, a.verdict == (dkim_judged[i].err == ERR_OK ? DKIM_SIGNED : DKIM_REFUSED));
	}
	close_link(&f);
}

/* Octets of all kinds are refused, and the next question is answered. */
static void
garbage(void **state)
{
	struct ipc_dkim_sign m = dkim_ask("example.org", "From: a@example.org\r\n");
	struct wire_out w;
	struct fixture f;
	uint32_t seed = 5;

	(void)state;
	open_link(&f);
	drain(&f);
	for (size_t round = 0; round < 500; round++) {
		size_t len = 1 + round % 200;

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		if (round % 2 == 0) {
			data[0] = 0;
			data[1] = IPC_DKIM_SIGN;
		}
		wire_out_init(&w, data, sizeof(data));
		w.len = len;
		assert_int_equal(ipc_send(f.fd, &w, NULL, 0, false), ERR_OK);
		assert_int_equal(loop_run_once(&f.loop, 1000), ERR_OK);
	}
	assert_int_equal(exchange(&f, &m).verdict, DKIM_SIGNED);
	close_link(&f);
}

/* Spool does not read: keys stops reading, and goes on when spool does; no answer is lost. */
static void
nobody_reads(void **state)
{
	struct ipc_dkim_sign m = dkim_ask("example.org", "From: a@example.org\r\n");
	struct ipc_dkim_sign_answer a;
	static uint8_t question[IPC_SMALL_MAX];
	uint64_t asked = 0, answered = 0;
	struct ipc_message got;
	struct wire_out w;
	struct fixture f;
	int err;

	(void)state;
	open_link(&f);
	drain(&f);
	do {
		m.number = ++asked;
		wire_out_init(&w, question, sizeof(question));
		ipc_put_dkim_sign(&w, &m);
		err = ipc_send(f.fd, &w, NULL, 0, false);
		assert_int_equal(loop_run_once(&f.loop, 0), ERR_OK);
	} while (err == ERR_OK && asked < 100000);
	assert_int_equal(err, ERR_BUSY);
	for (size_t idle = 0; idle < 3;) {
		err = ipc_recv(f.fd, IPC_SPOOL_FROM_KEYS, data, sizeof(data), false, &got);
		if (err == ERR_BUSY) {
			idle++;
			assert_int_equal(loop_run_once(&f.loop, 10), ERR_OK);
			continue;
		}
		idle = 0;
		assert_int_equal(err, ERR_OK);
		assert_int_equal(ipc_get_dkim_sign_answer(&got.body, &a), ERR_OK);
		assert_int_equal(a.number, ++answered);
		assert_int_equal(loop_run_once(&f.loop, 0), ERR_OK);
	}
	assert_int_equal(answered, asked - 1);
	close_link(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_are_told),
		cmocka_unit_test(questions),
		cmocka_unit_test(garbage),
		cmocka_unit_test(nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
