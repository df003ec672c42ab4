/*
 * smtpadm selftest spool: a probe file goes the way of a message through the spool's tmp/, and free space and lock are looked
 * at. Runs as the owner of the spool. Invariant: no message is touched, and the probe is removed in any case.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "io.h"
#include "queue.h"
#include "selftest.h"
#include "show.h"
#include "str.h"

static const struct table_column columns[] = {
	{ "PROGRAM", false, 0 }, { "PART", false, 0 }, { "RESULT", false, 0 }, { "", false, 20 },
};

static bool
add(struct selftest *t, const char *part, bool good, const char *text)
{
	selftest_add(t, "spool", part, good ? "ok" : "fault", good ? text : strerror(errno));
	return good;
}

static void
test_probe(struct selftest *t, const struct spool_dirs *d)
{
	static const char text[] = "smtpadm selftest spool\n";
	char name[64], after[72];
	int folder = d->fds[SPOOL_TMP], fd;
	bool good;

	str_fmt(name, sizeof(name), "selftest.%ld", (long)getpid());
	str_fmt(after, sizeof(after), "%s.renamed", name);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (!add(t, "write", fd >= 0 && io_write_all(fd, text, sizeof(text) - 1) == ERR_OK, "a file in tmp/"))
		goto out;
	if (!add(t, "sync", fsync(fd) == 0 && fsync(folder) == 0, "the file and its folder"))
		goto out;
	good = renameat(folder, name, folder, after) == 0 && fsync(folder) == 0;
	if (!add(t, "rename", good, "within tmp/, and the folder synced"))
		goto out;
	add(t, "remove", unlinkat(folder, after, 0) == 0 && fsync(folder) == 0, "and the folder synced");
out:
	io_close(&fd);
	unlinkat(folder, name, 0);
	unlinkat(folder, after, 0);
}

/* As postern-spool asks: never more than a twentieth of the disk. */
static void
test_space(struct selftest *t, const struct spool_dirs *d, const struct conf *c)
{
	uint64_t available, wanted = c->spool_min_free;
	char text[160], have[40], need[40];
	struct statvfs st;

	if (fstatvfs(d->root_fd, &st) != 0) {
		add(t, "space", false, "");
		return;
	}
	available = (uint64_t)st.f_bavail * st.f_frsize;
	if (wanted > (uint64_t)st.f_blocks * st.f_frsize / 20)
		wanted = (uint64_t)st.f_blocks * st.f_frsize / 20;
	str_fmt(text, sizeof(text), "%s free, %" PRIu64 " files more; mail is taken down to %s", show_size(have, available),
	    (uint64_t)st.f_favail, show_size(need, wanted));
	selftest_add(t, "spool", "space", available < wanted ? "fault" : "ok", text);
}

/* Looked at, not taken: a service that starts meanwhile is not to wait. */
static void
test_lock(struct selftest *t, const struct spool_dirs *d)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(d->root_fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		selftest_add(t, "spool", "lock", "ok", "free: no service ever held it");
	else if (fd < 0 || fcntl(fd, F_OFD_GETLK, &whole) != 0)
		add(t, "lock", false, "");
	else
		selftest_add(t, "spool", "lock", "ok", whole.l_type == F_UNLCK ? "free: no service uses this spool" :
		    "held by the service, or by another smtpadm");
	io_close(&fd);
}

int
cmd_selftest_spool(struct admin *a)
{
	struct selftest t = { .a = a };
	static struct conf c;
	struct spool_dirs d;
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || (code = queue_open(a, &d)) != EX_OK)
		return code;
	table_open(&t.table, columns, sizeof(columns) / sizeof(columns[0]));
	if (a->dry_run)
		selftest_add(&t, "spool", "write", "off", "a dry run writes nothing");
	else
		test_probe(&t, &d);
	test_space(&t, &d, &c);
	test_lock(&t, &d);
	spool_close(&d);
	table_print(&t.table);
	if (!t.failed)
		return EX_OK;
	out_fix("smtpadm config check; df of the folder that smtpadm config get spool.path names");
	return out_fail(EX_NO, "fault", "the spool has a fault");
}
