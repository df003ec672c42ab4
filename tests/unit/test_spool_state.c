/*
 * The state of a message's delivery: what was put is read back, nothing else is taken, cut anywhere; its file.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "spool.h"
#include "state.h"
#include "unit.h"

#define ID "0123456789abcdef"

static void
set_recipient(struct state_recipient *r, enum recipient_status status, uint16_t code, const char *reply)
{
	r->status = status;
	r->stage = DELIVERY_RCPT;
	r->code = code;
	r->time_us = 1780000000123456ULL;
	r->enhanced = strdup("5.1.1");
	r->reply = strdup(reply);
	r->host = strdup("mx.example.net");
	r->tls = strdup("TLSv1.3 TLS_AES_256_GCM_SHA384 verified");
}

/* One with everything in it. */
static void
make_state(struct state *s)
{
	assert_int_equal(state_init(s, 5), ERR_OK);
	s->tries = 3;
	s->next_us = 1780000000000001ULL;
	s->warned_us = 1780000000000002ULL;
	s->expires_us = 1780000000000003ULL;
	s->route = strdup("smarthost");
	s->hold = strdup("asked by \xc3\xa4 customer");
	set_recipient(&s->recipients[1], RECIPIENT_BOUNCED, 550, "no such user / really");
	set_recipient(&s->recipients[2], RECIPIENT_DELIVERED, 250, "2.0.0 Ok");
	s->recipients[2].is_success_due = s->recipients[2].is_relayed = true;
	s->recipients[3].status = RECIPIENT_REMOVED;
	s->recipients[4].is_relayed = true;
	s->recipients[4].status = RECIPIENT_REPORTED;
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
assert_same(const struct state *a, const struct state *b)
{
	assert_int_equal(a->tries, b->tries);
	assert_int_equal(a->next_us, b->next_us);
	assert_int_equal(a->warned_us, b->warned_us);
	assert_int_equal(a->expires_us, b->expires_us);
	assert_true(is_same_text(a->route, b->route) && is_same_text(a->hold, b->hold));
	assert_int_equal(a->nrecipients, b->nrecipients);
	for (size_t i = 0; i < a->nrecipients; i++) {
		const struct state_recipient *x = &a->recipients[i], *y = &b->recipients[i];

		check_row(i, x->status == y->status && x->stage == y->stage && x->code == y->code && x->time_us == y->time_us);
		check_row(i, x->is_success_due == y->is_success_due && x->is_relayed == y->is_relayed);
		check_row(i, is_same_text(x->enhanced, y->enhanced) && is_same_text(x->reply, y->reply));
		check_row(i, is_same_text(x->host, y->host) && is_same_text(x->tls, y->tls));
	}
}

static void
test_there_and_back(void **state)
{
	struct state s, got;
	struct buf b;

	(void)state;
	make_state(&s);
	buf_init(&b, 1 << 20);
	assert_int_equal(state_put(&s, &b), ERR_OK);
	assert_int_equal(state_get(b.data, b.len, 5, &got), ERR_OK);
	assert_same(&s, &got);
	state_free(&got);
	/* The message has as many recipients as its envelope says. */
	assert_int_equal(state_get(b.data, b.len, 4, &got), ERR_CORRUPT);
	state_free(&got);
	assert_int_equal(state_get(b.data, b.len, 6, &got), ERR_CORRUPT);
	state_free(&got);
	state_free(&s);
	buf_reset(&b);
	assert_int_equal(state_init(&s, 2), ERR_OK);
	assert_int_equal(state_put(&s, &b), ERR_OK);
	assert_memory_equal(b.data, "Postern-State: v=1; recipients=2\nPostern-End: state\n", b.len);
	state_free(&s);
	buf_free(&b);
}

/* Cut at every octet: refused. Every octet changed: refused, or read as something that can be written again. */
static void
test_damage(void **state)
{
	static const uint8_t changes[] = { 0, '\n', ' ', '0', '9', 0x7f, 'x', ':' };
	struct state s, got;
	struct buf b, again;

	(void)state;
	make_state(&s);
	buf_init(&b, 1 << 20);
	buf_init(&again, 1 << 20);
	assert_int_equal(state_put(&s, &b), ERR_OK);
	for (size_t len = 0; len < b.len; len++) {
		check_row(len, state_get(b.data, len, 5, &got) == ERR_CORRUPT);
		state_free(&got);
	}
	for (size_t at = 0; at < b.len; at++)
		for (size_t i = 0; i < COUNT(changes); i++) {
			uint8_t kept = b.data[at];
			int err;

			b.data[at] = changes[i];
			err = state_get(b.data, b.len, 5, &got);
			check_row(at, err == ERR_OK || err == ERR_CORRUPT || err == ERR_VERSION);
			if (err == ERR_OK) {
				buf_reset(&again);
				assert_int_equal(state_put(&got, &again), ERR_OK);
				check_row(at, again.len == b.len && memcmp(again.data, b.data, b.len) == 0);
			}
			state_free(&got);
			b.data[at] = kept;
		}
	assert_int_equal(buf_put(&b, "x", 1), ERR_OK);
	assert_int_equal(state_get(b.data, b.len, 5, &got), ERR_CORRUPT);
	state_free(&got);
	state_free(&s);
	buf_free(&b);
	buf_free(&again);
}

static void
test_bad(void **state)
{
	static const struct {
		const char	*text;
		int		 err;
	} rows[] = {
		{ "Postern-State: v=1; recipients=2\nPostern-End: state\n", ERR_OK },
		{ "Postern-State: v=2; anything\n", ERR_VERSION },
		{ "Postern-State: v=0; recipients=2\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Tries: 0\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Tries: 4294967296\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Next: 2026-02-31T00:00:00.000000Z\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Hold: \nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 2 waiting\nPostern-Stage: rcpt\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 waiting\nPostern-Stage: rcpt\nPostern-End: state\n", ERR_OK },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 eaten\nPostern-Stage: rcpt\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 waiting relayed x\nPostern-Stage: rcpt\nPostern-End: state\n",
		    ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 waiting\nPostern-Stage: lunch\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 waiting\nPostern-Stage: rcpt\nPostern-Recipient: 1 waiting\n"
		    "Postern-Stage: rcpt\nPostern-End: state\n", ERR_CORRUPT },
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 1 waiting\nPostern-Stage: rcpt\nPostern-Recipient: 0 waiting\n"
		    "Postern-Stage: rcpt\nPostern-End: state\n", ERR_CORRUPT },
	};
	struct state s;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, state_get(rows[i].text, strlen(rows[i].text), 2, &s) == rows[i].err);
		state_free(&s);
	}
}

/* Octets that would end a line early are made visible, so that no server writes a line of its own. */
static void
test_foreign_text(void **state)
{
	struct state s, got;
	struct buf b;

	(void)state;
	assert_int_equal(state_init(&s, 2), ERR_OK);
	s.hold = strdup("a\nPostern-Route: b");
	s.recipients[0].reply = strdup("x\r\nPostern-Recipient: 1 delivered");
	buf_init(&b, 1 << 20);
	assert_int_equal(state_put(&s, &b), ERR_OK);
	assert_int_equal(state_get(b.data, b.len, 2, &got), ERR_OK);
	assert_null(got.route);
	assert_string_equal(got.hold, "a?Postern-Route: b");
	assert_int_equal(got.recipients[1].status, RECIPIENT_WAITING);
	assert_string_equal(got.recipients[0].reply, "x??Postern-Recipient: 1 delivered");
	state_free(&got);
	state_free(&s);
	buf_free(&b);
}

static void
test_judgements(void **state)
{
	struct state s;

	(void)state;
	assert_int_equal(state_init(&s, 2), ERR_OK);
	assert_false(state_is_done(&s));
	s.tries = 7;
	s.recipients[0].time_us = 5;
	assert_false(state_is_precious(&s));
	s.recipients[0].status = RECIPIENT_DELIVERED;
	assert_true(state_is_precious(&s));
	assert_false(state_is_done(&s));
	s.recipients[1].status = RECIPIENT_BOUNCED;
	assert_false(state_is_done(&s));
	s.recipients[1].status = RECIPIENT_REPORTED;
	assert_true(state_is_done(&s));
	s.recipients[0].is_success_due = true;
	assert_false(state_is_done(&s));
	state_free(&s);
	assert_int_equal(state_init(&s, 1), ERR_OK);
	s.hold = strdup("x");
	assert_true(state_is_precious(&s));
	state_free(&s);
}

static void
write_raw(const struct spool_dirs *d, const char *text)
{
	int fd = openat(d->state_fd, ID, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

static void
test_file(void **state)
{
	char root[] = "/tmp/postern-unit-state-XXXXXX", path[64];
	struct instance_ids ids = { .separate = false, .spool_uid = geteuid(), .spool_gid = getegid() };
	struct spool_dirs d;
	struct state s, got;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/spool", root);
	assert_int_equal(spool_create(path, &ids), ERR_OK);
	assert_int_equal(spool_open(&d, path), ERR_OK);
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_OK);
	assert_int_equal(got.tries, 0);
	state_free(&got);
	make_state(&s);
	assert_int_equal(state_write(&d, ID, &s), ERR_OK);
	assert_int_equal(fstatat(d.state_fd, ID, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_OK);
	assert_same(&s, &got);
	state_free(&got);
	state_free(&s);
	/* One that a crash has cut held nothing that was promised; a whole one that makes no sense is not guessed at. */
	write_raw(&d, "Postern-State: v=1; recip");
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_OK);
	state_free(&got);
	write_raw(&d, "");
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_OK);
	state_free(&got);
	write_raw(&d, "nonsense\nPostern-End: state\n");
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_CORRUPT);
	write_raw(&d, "Postern-State: v=9; x\nPostern-End: state\n");
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_VERSION);
	state_remove(&d, ID);
	state_remove(&d, ID);
	assert_int_equal(symlinkat("/etc/passwd", d.state_fd, ID), 0);
	assert_int_equal(state_read(&d, ID, 5, &got), ERR_CORRUPT);
	spool_close(&d);
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_foreign_text),
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
