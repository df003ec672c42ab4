/*
 * An admin's changes of message files: each verb from each folder, what the state says afterwards, and what is refused: files that are
 * not there, links, damage, names that lead elsewhere.
 */
#include <fcntl.h>
#include <ftw.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "change.h"
#include "err.h"
#include "format.h"
#include "io.h"
#include "name.h"
#include "state.h"
#include "str.h"
#include "unit.h"

#define NRECIPIENTS 2

static char root[64];
static struct spool_dirs dirs;

static int
setup(void **state)
{
	struct instance_ids ids = { .spool_uid = geteuid(), .spool_gid = getegid() };

	(void)state;
	snprintf(root, sizeof(root), "/tmp/postern-change-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	return spool_create(root, &ids) == ERR_OK && spool_open(&dirs, root) == ERR_OK ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(&dirs);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A message that came so long ago; its file's name and id are in *c. */
static void
put_message(enum spool_folder folder, uint64_t age_us, struct spool_change *c)
{
	static uint32_t number;
	struct name n = { .session = 7, .t = ++number };
	uint64_t us = io_now_us() - age_us;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char first[FORMAT_FIRST_LINE + 1], path[400];
	struct buf b;

	*c = (struct spool_change){ .err = -99 };
	n.seconds = us / 1000000;
	name_put_id(n.id, us, number);
	name_put(c->file, &n, "host");
	buf_init(&b, 65536);
	format_put_first_line(first, 0, NULL, false);
	assert_int_equal(buf_put(&b, first, FORMAT_FIRST_LINE), ERR_OK);
	assert_int_equal(format_put_start(&b, n.id, "alice@example.org", NULL, 7, n.t, us), ERR_OK);
	assert_int_equal(format_put_sender(&b, "alice@example.org", NULL, NULL, false, false), ERR_OK);
	assert_int_equal(format_put_recipient(&b, "a@example.net", NULL, NULL), ERR_OK);
	assert_int_equal(format_put_recipient(&b, "b@example.net", NULL, NULL), ERR_OK);
	assert_int_equal(format_put_end(&b), ERR_OK);
	assert_int_equal(buf_put_str(&b, "Subject: x\r\n\r\nx\r\n"), ERR_OK);
	SHA256(b.data + FORMAT_FIRST_LINE, b.len - FORMAT_FIRST_LINE, digest);
	format_put_first_line(first, b.len, digest, false);
	memcpy(b.data, first, FORMAT_FIRST_LINE);
	snprintf(path, sizeof(path), "%s/%s/%s", root, spool_folder_name(folder), c->file);
	assert_int_equal(io_replace_file(path, b.data, b.len, 0600), ERR_OK);
	buf_free(&b);
}

/* Its state, as if the first recipient had got it and the second had been deferred. */
static void
put_state(const struct spool_change *c, uint64_t next_us)
{
	struct state s;
	struct name n;

	assert_int_equal(name_get(c->file, &n), ERR_OK);
	assert_int_equal(state_init(&s, NRECIPIENTS), ERR_OK);
	s.tries = 3;
	s.next_us = next_us;
	s.recipients[0].status = RECIPIENT_DELIVERED;
	s.recipients[0].stage = DELIVERY_END;
	s.recipients[1].code = 451;
	s.recipients[1].time_us = 5;
	s.recipients[1].stage = DELIVERY_RCPT;
	s.recipients[1].reply = strdup("later");
	s.recipients[1].host = strdup("mx");
	assert_int_equal(state_write(&dirs, n.id, &s), ERR_OK);
	state_free(&s);
}

static bool
is_in(enum spool_folder f, const char *file)
{
	struct stat st;

	return fstatat(dirs.fds[f], file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
has_state(const char *id)
{
	struct stat st;

	return fstatat(dirs.state_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
read_state(const struct spool_change *c, struct state *s)
{
	assert_int_equal(state_read(&dirs, c->id, NRECIPIENTS, s), ERR_OK);
}

static void
change(enum queue_change what, const char *text, struct spool_change *c, int err)
{
	free(c->account);
	spool_change(&dirs, what, text, c, 1);
	assert_int_equal(c->err, err);
	assert_false(is_in(SPOOL_TMP, c->file));
	if (err == ERR_OK && what != QUEUE_REMOVE) {
		assert_true(is_in(c->to, c->file));
		assert_int_equal(c->is_moved, c->from != c->to);
		assert_string_equal(c->account, "alice@example.org");
	}
}

static void
test_hold(void **state)
{
	struct spool_change c;
	struct state s;

	(void)state;
	/* A fresh one leaves no trace of it. */
	put_message(SPOOL_NEW, 0, &c);
	change(QUEUE_HOLD, "odd \xc3\xbc", &c, ERR_OK);
	assert_int_equal(c.to, SPOOL_HOLD);
	read_state(&c, &s);
	assert_string_equal(s.hold, "odd \xc3\xbc");
	state_free(&s);
	change(QUEUE_HOLD, "another", &c, ERR_OK);
	change(QUEUE_RETRY, "", &c, ERR_DENIED);
	change(QUEUE_RELEASE, "", &c, ERR_OK);
	assert_int_equal(c.to, SPOOL_NEW);
	assert_false(has_state(c.id));
	change(QUEUE_RELEASE, "", &c, ERR_DENIED);
	/* One with a past keeps it. */
	free(c.account);
	put_message(SPOOL_CUR, 0, &c);
	put_state(&c, 1ULL << 60);
	change(QUEUE_HOLD, "", &c, ERR_OK);
	change(QUEUE_RELEASE, "", &c, ERR_OK);
	assert_int_equal(c.to, SPOOL_CUR);
	read_state(&c, &s);
	assert_null(s.hold);
	assert_int_equal(s.tries, 3);
	assert_int_equal(s.next_us, 0);
	assert_int_equal(s.expires_us, 0);
	assert_int_equal(s.recipients[0].status, RECIPIENT_DELIVERED);
	assert_string_equal(s.recipients[1].reply, "later");
	state_free(&s);
	free(c.account);
	/* One that is old has time to be tried. */
	put_message(SPOOL_HOLD, 6 * 86400000000ULL, &c);
	change(QUEUE_RELEASE, "", &c, ERR_OK);
	assert_int_equal(c.to, SPOOL_CUR);
	read_state(&c, &s);
	assert_true(s.expires_us > io_now_us() + 4 * 86400000000ULL);
	state_free(&s);
	free(c.account);
}

static void
test_others(void **state)
{
	struct spool_change c;
	struct state s;

	(void)state;
	put_message(SPOOL_CUR, 0, &c);
	put_state(&c, 1ULL << 60);
	change(QUEUE_RETRY, "", &c, ERR_OK);
	read_state(&c, &s);
	assert_int_equal(s.next_us, 0);
	assert_int_equal(s.tries, 3);
	state_free(&s);
	change(QUEUE_REROUTE, "other", &c, ERR_OK);
	read_state(&c, &s);
	assert_string_equal(s.route, "other");
	state_free(&s);
	change(QUEUE_BOUNCE, "", &c, ERR_OK);
	read_state(&c, &s);
	assert_int_equal(s.recipients[0].status, RECIPIENT_DELIVERED);
	assert_int_equal(s.recipients[1].status, RECIPIENT_BOUNCED);
	assert_int_equal(s.recipients[1].code, 0);
	assert_string_equal(s.recipients[1].reply, STATE_RETURNED_REPLY);
	assert_null(s.recipients[1].host);
	assert_false(state_is_done(&s));
	state_free(&s);
	change(QUEUE_REMOVE, "", &c, ERR_OK);
	assert_false(is_in(SPOOL_CUR, c.file) || has_state(c.id));
	change(QUEUE_REMOVE, "", &c, ERR_NOTFOUND);
	change(QUEUE_HOLD, "x", &c, ERR_NOTFOUND);
	free(c.account);
	/* From new/, whose messages have no state. */
	put_message(SPOOL_NEW, 0, &c);
	change(QUEUE_RETRY, "", &c, ERR_OK);
	change(QUEUE_REROUTE, "", &c, ERR_OK);
	assert_true(c.to == SPOOL_NEW && !has_state(c.id));
	change(QUEUE_REROUTE, "other", &c, ERR_OK);
	assert_true(c.to == SPOOL_CUR && has_state(c.id));
	free(c.account);
	put_message(SPOOL_HOLD, 0, &c);
	change(QUEUE_BOUNCE, "", &c, ERR_OK);
	assert_int_equal(c.to, SPOOL_CUR);
	free(c.account);
}

static void
test_failed(void **state)
{
	struct spool_change c;
	char path[400];
	struct state s;
	FILE *f;

	(void)state;
	put_message(SPOOL_FAILED, 0, &c);
	put_state(&c, 0);
	assert_int_equal(name_get(c.file, &(struct name){ .t = 0 }), ERR_OK);
	change(QUEUE_HOLD, "x", &c, ERR_DENIED);
	change(QUEUE_BOUNCE, "", &c, ERR_DENIED);
	change(QUEUE_RELEASE, "", &c, ERR_OK);
	read_state(&c, &s);
	assert_int_equal(s.recipients[1].status, RECIPIENT_WAITING);
	state_free(&s);
	free(c.account);
	/* A damaged one is not let loose. */
	put_message(SPOOL_FAILED, 0, &c);
	snprintf(path, sizeof(path), "%s/failed/%s", root, c.file);
	assert_non_null(f = fopen(path, "r+"));
	assert_int_equal(fseek(f, -2, SEEK_END), 0);
	fputc('z', f);
	fclose(f);
	change(QUEUE_RELEASE, "", &c, ERR_CORRUPT);
	assert_true(is_in(SPOOL_FAILED, c.file));
	change(QUEUE_REMOVE, "", &c, ERR_OK);
	free(c.account);
}

static void
test_hostile(void **state)
{
	static const char *const names[] = { "", ".", "..", "../lock", "x", "1.Q0sgd8c7jhv3ker6tS0000000000000007T1/../../lock" };
	struct spool_change c = { .err = 0 }, target;
	char id[SPOOL_ID_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		c = (struct spool_change){ .err = 0 };
		snprintf(c.file, sizeof(c.file), "%s", names[i]);
		spool_change(&dirs, QUEUE_HOLD, "x", &c, 1);
		check_row(i, c.err == ERR_SYNTAX || c.err == ERR_NOTFOUND);
		assert_null(c.account);
	}
	/* A link, and a state that is none. */
	put_message(SPOOL_NEW, 0, &target);
	put_message(SPOOL_NEW, 0, &c);
	assert_int_equal(unlinkat(dirs.fds[SPOOL_NEW], c.file, 0), 0);
	assert_int_equal(symlinkat(target.file, dirs.fds[SPOOL_NEW], c.file), 0);
	spool_change(&dirs, QUEUE_HOLD, "x", &c, 1);
	assert_int_equal(c.err, ERR_SYSTEM);
	assert_true(is_in(SPOOL_NEW, c.file));
	free(c.account);
	put_message(SPOOL_NEW, 0, &c);
	assert_int_equal(str_copy(id, sizeof(id), strchr(c.file, 'Q') + 1, NAME_ID_LEN), ERR_OK);
	assert_int_equal(symlinkat("/etc/passwd", dirs.state_fd, id), 0);
	spool_change(&dirs, QUEUE_HOLD, "x", &c, 1);
	assert_int_equal(c.err, ERR_CORRUPT);
	assert_true(is_in(SPOOL_NEW, c.file));
	free(c.account);
}

/* Many at once, good and bad mixed: each has its own fate. */
static void
test_many(void **state)
{
	enum { MANY = 300 };
	struct spool_change *list = calloc(MANY, sizeof(*list));

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		put_message(i % 5 == 0 ? SPOOL_FAILED : SPOOL_NEW, 0, &list[i]);
		if (i % 7 == 0)
			list[i].file[0] = 'x';
	}
	spool_change(&dirs, QUEUE_HOLD, "all", list, MANY);
	for (size_t i = 0; i < MANY; i++) {
		check_row(i, list[i].err == (i % 7 == 0 ? ERR_SYNTAX : i % 5 == 0 ? ERR_DENIED : ERR_OK));
		check_row(i, list[i].err != ERR_OK || (is_in(SPOOL_HOLD, list[i].file) && has_state(list[i].id)));
		free(list[i].account);
	}
	spool_change(&dirs, QUEUE_HOLD, "none", list, 0);
	free(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hold, setup, teardown), cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed, setup, teardown), cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
