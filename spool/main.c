/*
 * postern-spool: keeps the spool. Started as root by the master (or as an ordinary user), it opens the spool's folders, then gives
 * up all rights but those folders, repairs what a crash has left, starts its commit threads, seals itself and serves. Invariant:
 * as root it only creates and opens the folders; every file is touched as the spool's own user.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "exhausted.h"
#include "io.h"
#include "lock.h"
#include "log.h"
#include "profile.h"
#include "recover.h"
#include "sandbox.h"
#include "serve.h"
#include "spooler.h"
#include "str.h"

#define LOCK_WAIT_MS 10000	/* for an older postern-spool that finishes its commits */
#define JOURNAL_STOP_MS 5000	/* for its last checkpoint; else the next start reads it */

static struct spooler spooler;

static void
describe_sandbox(struct spooler *sp, struct sandbox *box)
{
	const struct service *s = &sp->service;

	*box = (struct sandbox){
		.profile = &profile_spool,
		.privileged = s->ids.separate,
		.uid = s->ids.spool_uid,
		.gid = s->ids.spool_gid,
		.empty_fd = -1,
		.require = s->conf.sandbox_require && s->ids.separate,
	};
	if (sp->dirs.root_fd >= 0) {
		box->trees[0] = (struct sandbox_tree){ .fd = sp->dirs.root_fd, .writable = true };
		box->ntrees = 1;
	}
	if (!box->privileged)
		return;
	if ((box->empty_fd = open(s->in.empty_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		service_fail(s, EX_OSFILE, "the empty folder %s can't be opened: %s", s->in.empty_dir, strerror(errno));
}

static void
check_folder(const struct service *s, const char *path, const char *name, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		service_fail(s, EX_OSFILE, "%s%s: %s", path, name, strerror(errno));
	if (st.st_uid != s->ids.spool_uid)
		service_fail(s, EX_NOPERM, "%s%s belongs to user %lu, not to the spool's user: chown -R %lu:%lu %s", path, name,
		    (unsigned long)st.st_uid, (unsigned long)s->ids.spool_uid, (unsigned long)s->ids.spool_gid, path);
	if ((st.st_mode & 077) != 0)
		service_fail(s, EX_NOPERM, "%s%s is open to others: chmod 700 %s%s", path, name, path, name);
}

static void
open_spool(struct spooler *sp, char path[PATH_MAX])
{
	const struct service *s = &sp->service;
	int err;

	if (instance_spool(&s->in, &s->conf, path) != ERR_OK)
		service_fail(s, EX_CONFIG, "spool.path is too long");
	if ((err = spool_create(path, &s->ids)) != ERR_OK)
		service_fail(s, EX_CANTCREAT, "the spool %s can't be created: %s", path, err == ERR_DENIED ?
		    "it is a link, belongs to somebody else, or holds other things; name an empty folder in spool.path" : err_text(err));
	if ((err = spool_open(&sp->dirs, path)) != ERR_OK)
		service_fail(s, EX_OSFILE, "the spool %s can't be opened: %s", path, err_text(err));
	check_folder(s, path, "", sp->dirs.root_fd);
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS; f++) {
		char name[16];

		snprintf(name, sizeof(name), "/%s", spool_folder_name(f));
		check_folder(s, path, name, sp->dirs.fds[f]);
	}
}

/* As the spool's user: the lock, and order. The lock's descriptor stays open until the process ends. */
static void
take_over(struct spooler *sp, const char *path)
{
	const struct service *s = &sp->service;
	char messages[21], removed[21], set_aside[21];
	struct journal_recovered j;
	struct recovered r;
	int lock_fd, err;

	if ((err = lock_take(&sp->dirs, LOCK_WAIT_MS, &lock_fd)) == ERR_BUSY)
		service_fail(s, EX_TEMPFAIL, "another process holds %s/lock: end it first (fuser %s/lock names it)", path, path);
	if (err != ERR_OK)
		service_fail(s, EX_OSFILE, "%s/lock can't be locked: %s", path, err_text(err));
	if (queue_init(sp) != ERR_OK)
		service_fail(s, EX_OSERR, "out of memory");
	if ((err = journal_recover(&sp->dirs, &j)) != ERR_OK)
		service_fail(s, err == ERR_FULL ? EX_TEMPFAIL : EX_IOERR, "the messages in %s/journal.* can't be brought to their files: %s%s", path,
		    err_text(err), err == ERR_FULL ? "; make room on the disk" : err == ERR_DENIED ?
		    "; they must be plain files of the spool's user, without a second name (chown, or put a copy in place of each)" : "");
	if ((err = recover_spool(sp, &r)) != ERR_OK)
		service_fail(s, EX_IOERR, "the spool %s can't be recovered: %s", path, err_text(err));
	if (trace_open(sp) != ERR_OK)
		log_error("trace.not_opened", "folder", "trace", "error", strerror(errno), "hint",
		    "what happens to messages is in no trace until this is mended and the daemon started again", NULL);
	if (j.restored != 0 || j.removed != 0)
		log_info("spool.journal_replayed", "present", str_put_u64(messages, j.present), "restored", str_put_u64(removed, j.restored),
		    "removed", str_put_u64(set_aside, j.removed), NULL);
	log_info("spool.recovered", "messages", str_put_u64(messages, r.messages), "removed", str_put_u64(removed, r.removed),
	    "set_aside", str_put_u64(set_aside, r.set_aside), NULL);
}

/* Where a sync of all files may not reach what other machines or programs keep, a checkpoint would promise too much. */
static bool
is_on_own_disk(int fd)
{
	static const long foreign[] = { 0x6969 /* NFS */, 0x65735546 /* FUSE */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
	    0x01021997 /* 9P */, 0x00c36400 /* Ceph */ };
	struct statfs st;

	if (fstatfs(fd, &st) != 0)
		return false;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if ((long)st.f_type == foreign[i])
			return false;
	return true;
}

/* Without one every commit waits for the disk by itself. */
static void
start_journal(struct spooler *sp)
{
	const size_t size = (size_t)sp->service.conf.spool_journal;

	if (size == 0)
		return;
	if (!is_on_own_disk(sp->dirs.root_fd)) {
		log_info("spool.no_journal", "reason", "the spool is on no disk of this machine: each message is synced by itself", NULL);
		return;
	}
	if (journal_start(&sp->journal, &sp->dirs, size, sp->digest) == ERR_OK)
		sp->dirs.journal = &sp->journal;
	else
		log_error("spool.no_journal", "error", strerror(errno), "hint", "mail is stored, but more slowly: mend it and start the daemon again",
		    NULL);
}

/* What reads files of the system, and would later find none. */
static void
warm_up(struct spooler *sp)
{
	tzset();
	/* The commit threads need no heaps of their own, whose growth would need mprotect(2). */
	mallopt(M_ARENA_MAX, 1);
	if ((sp->digest = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		service_fail(&sp->service, EX_SOFTWARE, "OpenSSL offers no SHA-256");
}

static int
prove_sandbox(struct spooler *sp)
{
	char path[PATH_MAX];
	struct sandbox box;
	int err;

	sp->dirs.root_fd = -1;
	if (instance_spool(&sp->service.in, &sp->service.conf, path) == ERR_OK && spool_open(&sp->dirs, path) != ERR_OK)
		sp->dirs.root_fd = -1;
	describe_sandbox(sp, &box);
	if ((err = sandbox_prepare(&box)) == ERR_OK)
		err = sandbox_selftest(&box);
	return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct spooler *sp = &spooler;
	const struct service *s = &sp->service;
	char path[PATH_MAX], why[300];
	struct sandbox box;
	uint32_t parts;
	int err;

	service_start(&sp->service, "spool", argc, argv);
	signal(SIGXFSZ, SIG_IGN);
	umask(077);
	if (s->selftest)
		return prove_sandbox(sp);
	close(SERVICE_CONF_FD);
	warm_up(sp);
	open_spool(sp, path);
	if ((err = control_open(sp)) != ERR_OK)
		service_fail(s, EX_CANTCREAT, "the control socket in %s can't be made: %s", s->in.run_dir, err_text(err));
	describe_sandbox(sp, &box);
	if ((err = sandbox_prepare(&box)) != ERR_OK || (err = sandbox_demote(&box, &parts)) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-spool can't enter its sandbox: %s", err_text(err));
	io_close(&box.empty_fd);
	io_close(&box.ruleset_fd);
	take_over(sp, path);
	start_journal(sp);
	if (loop_open(&sp->loop) != ERR_OK || folder_sync_init(&sp->new_sync, sp->dirs.fds[SPOOL_NEW]) != ERR_OK ||
	    folder_sync_init(&sp->cur_sync, sp->dirs.fds[SPOOL_CUR]) != ERR_OK ||
	    folder_sync_init(&sp->state_sync, sp->dirs.state_fd) != ERR_OK ||
	    pool_start(&sp->pool, (size_t)s->conf.spool_commit_threads) != ERR_OK || serve_prepare(sp) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-spool can't start its threads: %s", exhausted_explain(why, sizeof(why), errno));
	if ((err = sandbox_seal(&box, &parts)) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-spool can't install its system call filter: %s", err_text(err));
	serve_check_room(sp);
	service_ready(s, parts, NULL, 0);
	serve_run(sp);
	if (sp->dirs.journal != NULL)
		journal_stop(&sp->journal, JOURNAL_STOP_MS);
	/* Without the C library's farewells: a thread may still hang in the disk. */
	_exit(EXIT_SUCCESS);
}
