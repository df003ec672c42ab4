/*
 * The registry as a file: owner and modes, versions, damage, and a writer killed in the middle.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "registry_fixture.h"

#include "err.h"

static void
test_files_have_their_owner(void **state)
{
	static const char *const names[] = { "", "/registry.db", "/registry.db-wal", "/registry.db-shm" };
	struct place *p = *state;
	struct registry *r = open_registry(p);
	char path[512], before[512], after[512];
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/registry%s", p->folder, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, p->ids.auth_uid);
		assert_int_equal(st.st_mode & 07777, i == 0 ? 0700 : 0600);
	}
	registry_close(r);
	assert_int_equal(access(path, F_OK), 0);	/* -shm stays */
	assert_int_equal(registry_create(&p->in, &p->ids), ERR_EXISTS);
	/* The process is where and who it was. */
	assert_non_null(getcwd(before, sizeof(before)));
	registry_close(open_registry(p));
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(geteuid(), getuid());
}

/* A registry that others may read or that is somebody else's is refused, with the mending command. */
static void
test_modes(void **state)
{
	struct place *p = *state;
	struct registry *r;

	assert_int_equal(chmod(p->in.registry_file, 0640), 0);
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_DENIED);
	assert_non_null(strstr(registry_reason(NULL), "chmod 600"));
	assert_int_equal(chmod(p->in.registry_file, 0600), 0);
	assert_int_equal(chmod(p->in.registry_dir, 0711), 0);
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_DENIED);
	assert_non_null(strstr(registry_reason(NULL), "chmod 700"));
	assert_int_equal(chmod(p->in.registry_dir, 0700), 0);
	if (p->ids.separate) {
		assert_int_equal(chown(p->in.registry_file, 4711, 4711), 0);
		assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_DENIED);
		assert_non_null(strstr(registry_reason(NULL), "chown"));
		assert_int_equal(chown(p->in.registry_file, p->ids.auth_uid, p->ids.auth_gid), 0);
	}
	registry_close(open_registry(p));
}

static void
test_newer_version(void **state)
{
	struct place *p = *state;
	struct registry *r;

	run_sql(p, "PRAGMA user_version = 7");
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_VERSION);
	assert_null(r);
	assert_non_null(strstr(registry_reason(NULL), "version 7"));
	assert_non_null(strstr(registry_reason(NULL), "newer Postern"));
	assert_int_equal(registry_create(&p->in, &p->ids), ERR_VERSION);
	run_sql(p, "PRAGMA application_id = 99");
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_CORRUPT);
	/* A set-up that was cut off before the schema stood is taken up again. */
	make_registry(p, "PRAGMA journal_mode = WAL");
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_NOTFOUND);
	assert_int_equal(registry_create(&p->in, &p->ids), ERR_OK);
	registry_close(open_registry(p));
}

static void
test_damage(void **state)
{
	struct place *p = *state;
	struct registry *r = open_registry(p);
	char path[512];
	int fd;

	for (int i = 0; i < 50; i++) {
		char name[20];

		snprintf(name, sizeof(name), "user%d@x", i);
		assert_int_equal(registry_add_account(r, name, HASH, NULL), ERR_OK);
	}
	registry_close(r);
	run_sql(p, "PRAGMA wal_checkpoint(TRUNCATE)");
	/* The pages behind the first: found when they are read. */
	assert_true((fd = open(p->in.registry_file, O_WRONLY)) >= 0);
	for (off_t at = 4096; at < 4096 * 8; at += 4)
		assert_int_equal(pwrite(fd, "junk", 4, at), 4);
	r = NULL;
	if (registry_open(&r, &p->in, &p->ids, true) == ERR_OK)
		assert_int_equal(registry_add_account(r, "zoe@x", HASH, NULL), ERR_CORRUPT);
	assert_non_null(strstr(registry_reason(r), p->in.registry_file));
	registry_close(r);
	/* No database at all. */
	for (off_t at = 0; at < 4096; at += 4)
		assert_int_equal(pwrite(fd, "junk", 4, at), 4);
	close(fd);
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_CORRUPT);
	assert_non_null(strstr(registry_reason(NULL), p->in.registry_file));
	/* A link in its place. */
	snprintf(path, sizeof(path), "%s/registry/elsewhere", p->folder);
	assert_int_equal(rename(p->in.registry_file, path), 0);
	assert_int_equal(symlink("elsewhere", p->in.registry_file), 0);
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_DENIED);
	unlink(p->in.registry_file);
	assert_int_equal(registry_open(&r, &p->in, &p->ids, true), ERR_NOTFOUND);
	assert_non_null(strstr(registry_reason(NULL), "smtpadm setup"));
}

/* A writer that is killed at any moment leaves both accounts of a pair or none, and a whole database. */
static void
test_killed_writer(void **state)
{
	struct place *p = *state;

	for (unsigned round = 0; round < 12; round++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			struct registry *r;

			if (registry_open(&r, &p->in, &p->ids, true) != ERR_OK)
				_exit(1);
			for (unsigned i = 0;; i++) {
				char one[32], two[32];

				snprintf(one, sizeof(one), "one%u-%u", round, i);
				snprintf(two, sizeof(two), "two%u-%u", round, i);
				if (registry_begin(r) != ERR_OK || registry_add_account(r, one, HASH, NULL) != ERR_OK ||
				    registry_add_account(r, two, HASH, NULL) != ERR_OK || registry_commit(r) != ERR_OK)
					_exit(1);
			}
		}
		usleep(15000 + round * 3700);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		registry_close(open_registry(p));
		assert_int_equal(ask_sql(p, "SELECT count(*) FROM account WHERE name LIKE 'one%'"),
		    ask_sql(p, "SELECT count(*) FROM account WHERE name LIKE 'two%'"));
		assert_int_equal(ask_sql(p, "SELECT (SELECT count(*) FROM history) - 2 * (SELECT count(*) FROM account)"), 0);
	}
	assert_int_equal(ask_sql(p, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	assert_true(ask_sql(p, "SELECT count(*) FROM account") > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_have_their_owner, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_modes, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_newer_version, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_damage, registry_set_up, registry_tear_down),
		cmocka_unit_test_setup_teardown(test_killed_writer, registry_set_up, registry_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
