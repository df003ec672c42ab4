/*
 * postern-spool's deliveries and reports on a disk that is full, a small tmpfs that root mounts. The test is master, auth, worker and
 * relay.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "relay_driver.h"
#include "state.h"
#include "unit.h"

#define ROUTE "[route out]\nurl = smtp://192.0.2.1:25\ntls = none\n"

static const char plain[] = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nhello\r\n";

static struct fixture f;
static char disk[PATH_MAX];
static int relay = -1, worker = -1;
static uint32_t t;

/* False: there is no such disk. */
static bool
start(const char *text)
{
	alarm(120);
	t = 0;
	fixture_open(&f, text);
	snprintf(disk, sizeof(disk), "%s/disk", f.root);
	snprintf(f.spool, sizeof(f.spool), "%s/disk/spool", f.root);
	assert_int_equal(mkdir(disk, 0755), 0);
	if (geteuid() != 0 || mount("none", disk, "tmpfs", 0, "size=4m,nr_inodes=200,mode=755") != 0) {
		print_message("the full disk is left out: a small tmpfs can only be mounted by root\n");
		fixture_close(&f);
		return false;
	}
	assert_true(fixture_start(&f));
	relay = relay_link(&f);
	worker = fixture_grant(&f, 0x77);
	return true;
}

static void
finish(void)
{
	io_close(&relay);
	io_close(&worker);
	assert_int_equal(fixture_stop(&f), 0);
	assert_int_equal(umount(disk), 0);
	fixture_close(&f);
}

static void
submit(const char *sender, const char *to, char id[IPC_TEXT_MAX])
{
	struct ipc_envelope_recipient m = { .session = 0x77, .t = ++t };
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

/* Fills the disk but for a page or two; returns the filler's descriptor. */
static int
fill_disk(void)
{
	static char block[4096];
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/disk/filler", f.root);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) == sizeof(block))
		continue;
	return fd;
}

/* A full disk: what became of a recipient is kept in memory and not told as done, nor tried again, until there is room. */
static void
test_full_disk(void **state)
{
	char id[IPC_TEXT_MAX];
	struct got g, other;
	struct state s;
	int filler;

	(void)state;
	if (!start("path = disk/spool\nmin_free = 0\n[delivery]\nretry = 1s\n[trace]\nkeep = 1d\n" ROUTE))
		skip();
	submit("alice@example.org", "bob@example.net", id);
	assert_true(relay_next(relay, &g, 5000));
	filler = fill_disk();
	got_finish(&g, DELIVERY_FAILED, 550, "no such user");
	assert_false(got_is_answered(&g, 2500));
	assert_false(relay_next(relay, &other, 0));
	assert_true(fixture_log_has(&f, "spool.state_not_written"));
	/* Removing needs no room. */
	assert_int_equal(ftruncate(filler, 0), 0);
	assert_true(got_is_answered(&g, 5000));
	read_state(id, &s);
	assert_true(s.recipients[0].status == RECIPIENT_BOUNCED || s.recipients[0].status == RECIPIENT_REPORTED ||
	    fixture_states(&f) == 0);
	state_free(&s);
	assert_true(relay_next(relay, &g, 5000));
	assert_string_equal(g.addresses[0], "alice@example.org");
	/* A report that can't be stored is stored later. */
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	submit("alice@example.org", "bob@example.net", id);
	assert_true(relay_next(relay, &g, 5000));
	close(filler);
	filler = fill_disk();
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	close(filler);
	assert_gone();
	finish();
}

/* Takes all inodes but so many. */
static void
leave_inodes(unsigned n)
{
	char path[PATH_MAX];
	unsigned made = 0;
	int fd;

	do {
		snprintf(path, sizeof(path), "%s/disk/i%u", f.root, made++);
		if ((fd = open(path, O_WRONLY | O_CREAT, 0644)) >= 0)
			close(fd);
	} while (fd >= 0);
	for (made--; n != 0; n--) {
		snprintf(path, sizeof(path), "%s/disk/i%u", f.root, --made);
		assert_int_equal(unlink(path), 0);
	}
}

/* Room for the sender's report and not for the postmaster's copy: the sender has one report, not one each second. */
static void
test_full_disk_and_copy(void **state)
{
	char id[IPC_TEXT_MAX];
	struct got g;

	(void)state;
	if (!start("path = disk/spool\nmin_free = 0\n[delivery]\npostmaster = postmaster@example.org\n" ROUTE))
		skip();
	submit("alice@example.org", "bob@example.net", id);
	assert_true(relay_next(relay, &g, 5000));
	/* The state and one report. */
	leave_inodes(2);
	got_settle(&g, DELIVERY_FAILED, 550, "no such user");
	assert_true(relay_next(relay, &g, 5000));
	assert_string_equal(g.addresses[0], "alice@example.org");
	got_settle(&g, DELIVERY_DELIVERED, 250, "Ok");
	assert_false(relay_next(relay, &g, 2500));
	assert_true(fixture_log_has(&f, "kind=copy"));
	assert_gone();
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_full_disk_and_copy),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
