/*
 * What a crash may leave of deliveries, and what postern-spool makes of it when it starts: a file with two names, states without
 * messages, states that were cut or make no sense, and the times in them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "relay_driver.h"
#include "state.h"
#include "str.h"
#include "unit.h"

#define ORPHAN "0000000000000001"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\n\r\nhello\r\n";
static struct fixture f;
static char id[IPC_TEXT_MAX], file[SPOOL_NAME_MAX];

/* A stopped spool with one message, which no route took. */
static void
prepare(void)
{
	char path[PATH_MAX];
	struct dirent *e;
	int worker;
	DIR *dir;

	fixture_open(&f, "min_free = 0");
	assert_true(fixture_start(&f));
	worker = fixture_grant(&f, 7);
	fixture_envelope(&f, 7, 1);
	fixture_recipient(&f, 7, 1, "carol@example.net");
	assert_int_equal(worker_submit(worker, 1, plain, sizeof(plain) - 1, id), COMMIT_STORED);
	close(worker);
	assert_int_equal(fixture_stop(&f), 0);
	snprintf(path, sizeof(path), "%.200s/new", f.spool);
	assert_non_null(dir = opendir(path));
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			assert_int_equal(str_copy(file, sizeof(file), e->d_name, strlen(e->d_name)), ERR_OK);
	closedir(dir);
	f.settings = "min_free = 0\n[delivery]\nretry = 2s 1h\n[route out]\nurl = smtp://192.0.2.1:25\ntls = none\n";
}

static void
write_state(const char *name, const char *text)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%.200s/state/%s", f.spool, name);
	assert_true((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(stat(f.spool, &st), 0);
	assert_int_equal(fchown(fd, st.st_uid, st.st_gid), 0);
	close(fd);
}

static bool
exists(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.200s/%s/%.200s", f.spool, folder, name);
	return access(path, F_OK) == 0;
}

static void
finish(int relay)
{
	close(relay);
	if (f.pid > 0)
		assert_int_equal(fixture_stop(&f), 0);
	fixture_close(&f);
}

static void
test_twins(void **state)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct got g;
	int relay;

	(void)state;
	prepare();
	snprintf(from, sizeof(from), "%.200s/new/%.200s", f.spool, file);
	snprintf(to, sizeof(to), "%.200s/cur/%.200s", f.spool, file);
	assert_int_equal(link(from, to), 0);
	write_state(ORPHAN, "Postern-State: v=1; recipients=1\nPostern-End: state\n");
	write_state("README", "not ours");
	assert_true(fixture_start(&f));
	assert_false(exists("new", file));
	assert_true(exists("cur", file));
	assert_false(exists("state", ORPHAN));
	assert_true(exists("state", "README"));
	relay = relay_link(&f);
	assert_true(relay_next(relay, &g, 5000));
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_true(fixture_has(&f, SPOOL_CUR, 0, 3000));
	assert_false(relay_next(relay, &g, 200));
	finish(relay);
}

/* Two files of one id are not the same: none is touched. */
static void
test_not_twins(void **state)
{
	char path[PATH_MAX];
	struct stat st;
	struct buf b;
	int fd;

	(void)state;
	prepare();
	buf_init(&b, 1 << 20);
	snprintf(path, sizeof(path), "%.200s/new/%.200s", f.spool, file);
	assert_int_equal(io_read_file(path, &b), ERR_OK);
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%.200s/hold/%.200s", f.spool, file);
	assert_true((fd = open(path, O_WRONLY | O_CREAT, 0600)) >= 0);
	assert_int_equal(io_write_all(fd, b.data, b.len), ERR_OK);
	assert_int_equal(fchown(fd, st.st_uid, st.st_gid), 0);
	close(fd);
	buf_free(&b);
	assert_true(fixture_start(&f));
	assert_true(exists("new", file) && exists("hold", file));
	finish(-1);
}

static void
test_states(void **state)
{
	static const struct {
		const char	*text;
		size_t		 n;		/* recipients that are tried at once */
		size_t		 later;		/* or within three seconds */
	} rows[] = {
		{ "Postern-State: v=1; recipients=2\nPostern-End: state\n", 2, 0 },
		{ "Postern-State: v=1; recipients=2\nPostern-Tries: 1\nPostern-Recipient: 0 delivered\nPostern-Stage: rcpt\nPostern-End: state\n",
		    1, 0 },
		/* Cut by a crash: it held nothing that was promised. */
		{ "Postern-State: v=1; recipients=2\nPostern-Recipient: 0 deliv", 2, 0 },
		{ "", 2, 0 },
		/* A clock that was wrong: never longer than a step of the schedule. */
		{ "Postern-State: v=1; recipients=2\nPostern-Tries: 1\nPostern-Next: 2090-01-01T00:00:00.000000Z\nPostern-End: state\n", 0, 2 },
		{ "Postern-State: v=1; recipients=2\nPostern-Tries: 1\nPostern-Next: 1990-01-01T00:00:00.000000Z\nPostern-End: state\n", 2, 0 },
		/* Whole, and no sense in it; of a later version: not for this program to guess. */
		{ "nonsense\nPostern-End: state\n", 0, 0 },
		{ "Postern-State: v=2; recipients=2\nPostern-End: state\n", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct got g;
		int relay;

		prepare();
		write_state(id, rows[i].text);
		assert_true(fixture_start(&f));
		relay = relay_link(&f);
		check_row(i, relay_next(relay, &g, 400) == (rows[i].n != 0));
		if (rows[i].later != 0)
			check_row(i, relay_next(relay, &g, 3000));
		if (rows[i].n + rows[i].later != 0) {
			check_row(i, g.n == rows[i].n + rows[i].later);
			got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
			check_row(i, fixture_has(&f, SPOOL_NEW, 0, 3000) && fixture_has(&f, SPOOL_CUR, 0, 3000));
		} else {
			check_row(i, fixture_log_has(&f, "message.unreadable"));
			check_row(i, exists("new", file) && exists("state", id));
		}
		finish(relay);
	}
}

/* Done, but for the removal; and failed, but for the report. */
static void
test_unfinished(void **state)
{
	struct got g;
	int relay;

	(void)state;
	prepare();
	write_state(id, "Postern-State: v=1; recipients=2\nPostern-Recipient: 0 delivered\nPostern-Stage: rcpt\nPostern-Recipient: 1 reported\n"
	    "Postern-Stage: rcpt\nPostern-End: state\n");
	assert_true(fixture_start(&f));
	relay = relay_link(&f);
	assert_true(fixture_has(&f, SPOOL_NEW, 0, 3000));
	assert_true(fixture_has_states(&f, 0, 3000));
	assert_false(relay_next(relay, &g, 200));
	finish(relay);
	prepare();
	write_state(id, "Postern-State: v=1; recipients=2\nPostern-Recipient: 0 bounced\nPostern-Stage: rcpt\nPostern-Code: 550\nPostern-Reply: no\n"
	    "Postern-Recipient: 1 delivered\nPostern-Stage: rcpt\nPostern-End: state\n");
	assert_true(fixture_start(&f));
	relay = relay_link(&f);
	assert_true(relay_next(relay, &g, 3000));
	assert_string_equal(g.addresses[0], "alice@example.org");
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_true(fixture_has(&f, SPOOL_NEW, 0, 3000));
	finish(relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_not_twins),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_unfinished),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
