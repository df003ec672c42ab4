/*
 * The registry library: names and patterns as tables of cases, changes and their history, versions,
 * damage, two writers, and a writer killed in the middle. As root the registry has an owner of its own
 * below a folder that only root may enter.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf.h"
#include "err.h"
#include "password.h"
#include "registry.h"
#include "str.h"

/* A real hash is not needed: only its form is looked at. */
#define HASH "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
#define HASH_2 "$6$saltsalu$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

struct place {
	char			folder[64];
	struct instance		in;
	struct instance_ids	ids;
};

static int
set_up(void **state)
{
	static struct place p;
	struct conf_error error;
	struct conf c;

	snprintf(p.folder, sizeof(p.folder), "/tmp/postern-registry.XXXXXX");
	if (mkdtemp(p.folder) == NULL || instance_open(&p.in, p.folder) != ERR_OK || conf_parse(&c, "", 0, &error) != ERR_OK)
		return -1;
	instance_ids(&p.in, &c, &p.ids);
	*state = &p;
	return registry_create(&p.in, &p.ids);
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "registry.db", "registry.db-wal", "registry.db-shm", "elsewhere" };
	struct place *p = *state;
	char path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/registry/%s", p->folder, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/registry", p->folder);
	return rmdir(path) != 0 || rmdir(p->folder) != 0;
}

static struct registry *
open_registry(struct place *p)
{
	struct registry *r;

	if (registry_open(&r, &p->in, &p->ids, true) != ERR_OK)
		fail_msg("%s", registry_reason(NULL));
	return r;
}

/* SQL behind the library's back. */
static void
run_sql(struct place *p, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->in.registry_file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int
ask_sql(struct place *p, const char *sql)
{
	sqlite3_stmt *s;
	sqlite3 *db;
	int value = -1;

	assert_int_equal(sqlite3_open(p->in.registry_file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	if (sqlite3_step(s) == SQLITE_ROW)
		value = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return value;
}

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

static void
test_names(void **state)
{
	static const struct {
		const char	*name;
		int		 result;
		uint64_t	 senders;
	} cases[] = {
		{ "alice@example.org", ERR_OK, 1 }, { "Alice@Example.org", ERR_EXISTS, 0 }, { "printer", ERR_OK, 0 },
		{ "PRINTER", ERR_EXISTS, 0 }, { "a.b_c+d-e", ERR_OK, 0 }, { "", ERR_SYNTAX, 0 }, { "two words", ERR_SYNTAX, 0 },
		{ "*@example.org", ERR_SYNTAX, 0 }, { "x+*@example.org", ERR_SYNTAX, 0 }, { "\"a b\"@example.org", ERR_SYNTAX, 0 },
		{ "a@", ERR_SYNTAX, 0 }, { "@b", ERR_SYNTAX, 0 }, { "a@b@c", ERR_SYNTAX, 0 }, { "caf\xc3\xa9@example.org", ERR_OK, 1 },
		{ "caf\xc3@example.org", ERR_SYNTAX, 0 }, { "a'b;--@example.org", ERR_SYNTAX, 0 }, { "a'b@example.org", ERR_OK, 1 },
	};
	struct registry *r = open_registry(*state);
	struct registry_account a;
	uint64_t id;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = registry_add_account(r, cases[i].name, HASH, &id);

		if (result != cases[i].result)
			fail_msg("%s: %d, %s", cases[i].name, result, registry_reason(r));
		if (result == ERR_OK) {
			assert_int_equal(registry_find_account(r, cases[i].name, &a), ERR_OK);
			assert_int_equal(a.id, id);
			assert_int_equal(a.senders, cases[i].senders);
			assert_int_equal(a.credentials, 1);
			assert_string_equal(a.name, cases[i].name);
		}
	}
	assert_int_equal(registry_find_account(r, "ALICE@EXAMPLE.ORG", &a), ERR_OK);
	assert_int_equal(registry_find_account(r, "nobody", &a), ERR_NOTFOUND);
	assert_int_equal(registry_add_account(r, "bob", "secret", &id), ERR_SYNTAX);
	registry_close(r);
}

static void
test_patterns(void **state)
{
	static const struct {
		const char	*pattern;
		int		 result;
	} patterns[] = {
		{ "user@domain.example", ERR_OK }, { "USER@domain.EXAMPLE", ERR_EXISTS }, { "*@whole.example", ERR_OK },
		{ "tag+*@domain.example", ERR_OK }, { "a+b+*@domain.example", ERR_OK }, { "<>", ERR_OK }, { "<>", ERR_EXISTS },
		{ "*", ERR_SYNTAX }, { "*user@domain.example", ERR_SYNTAX }, { "us*er@domain.example", ERR_SYNTAX },
		{ "+*@domain.example", ERR_SYNTAX }, { "user@*", ERR_SYNTAX }, { "user@*.example", ERR_SYNTAX },
		{ "", ERR_SYNTAX }, { "<user@domain.example>", ERR_SYNTAX }, { "u+*+*@domain.example", ERR_SYNTAX },
		{ "\"q u\"@domain.example", ERR_OK },
	};
	static const struct {
		const char	*address;
		bool		 allowed;
	} addresses[] = {
		{ "user@domain.example", true }, { "User@Domain.Example", true }, { "user+x@domain.example", false },
		{ "other@domain.example", false }, { "user@sub.domain.example", false }, { "anyone@whole.example", true },
		{ "any+one@WHOLE.example", true }, { "x@sub.whole.example", false }, { "tag+1@domain.example", true },
		{ "TAG+1+2@domain.example", true }, { "tag+@domain.example", true }, { "tag@domain.example", false },
		{ "tagx+1@domain.example", false }, { "a+b+c@domain.example", true }, { "a+c@domain.example", false },
		{ "", true }, { "account@domain.example", true }, { "\"q u\"@domain.example", true },
		{ "\"tag+ 1\"@domain.example", false }, { "*@domain.example", false },
	};
	struct registry *r = open_registry(*state);
	uint64_t id, other;
	struct addr a;

	assert_int_equal(registry_add_account(r, "account@domain.example", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "other", HASH, &other), ERR_OK);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (registry_add_sender(r, id, patterns[i].pattern) != patterns[i].result)
			fail_msg("%s: %s", patterns[i].pattern, registry_reason(r));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		addr_set_null(&a);
		if (addresses[i].address[0] != 0)
			assert_int_equal(addr_parse(&a, addresses[i].address, strlen(addresses[i].address), true), ERR_OK);
		if ((registry_check_sender(r, id, &a) == ERR_OK) != addresses[i].allowed)
			fail_msg("%s", addresses[i].address);
		assert_int_equal(registry_check_sender(r, other, &a), ERR_DENIED);
	}
	assert_int_equal(registry_remove_sender(r, id, "USER@domain.example"), ERR_OK);
	assert_int_equal(registry_remove_sender(r, id, "user@domain.example"), ERR_NOTFOUND);
	assert_int_equal(registry_add_sender(r, 4711, "x@y"), ERR_NOTFOUND);
	registry_close(r);
}

static int
count_account(const struct registry_account *a, void *arg)
{
	(void)a;
	return ++*(int *)arg == 2 ? 7 : 0;
}

static int
join_sender(const struct registry_sender *s, void *arg)
{
	char *to = arg;

	snprintf(to + strlen(to), 200 - strlen(to), "%s=%s ", s->account_name, s->pattern);
	return 0;
}

static void
test_walks(void **state)
{
	struct registry *r = open_registry(*state);
	char text[200] = "";
	uint64_t a, b;
	int n = 0;

	assert_int_equal(registry_add_account(r, "b@x", HASH, &b), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &a), ERR_OK);
	assert_int_equal(registry_add_sender(r, b, "B2@x"), ERR_OK);
	assert_int_equal(registry_walk_accounts(r, count_account, &n), 7);
	assert_int_equal(n, 2);
	assert_int_equal(registry_walk_senders(r, 0, join_sender, text), 0);
	assert_string_equal(text, "a@x=a@x b@x=B2@x b@x=b@x ");
	text[0] = 0;
	assert_int_equal(registry_walk_senders(r, a, join_sender, text), 0);
	assert_string_equal(text, "a@x=a@x ");
	registry_close(r);
}

static void
test_credentials(void **state)
{
	struct registry *r = open_registry(*state);
	struct registry_credential c[2], was;
	struct registry_account a;
	uint64_t id;
	size_t n;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(c[0].name, "password");
	assert_string_equal(c[0].hash, HASH);
	was = c[0];
	assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_OK);
	/* Replaced: the same entry, never the same time. */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(registry_set_credential(r, id, "password", HASH_2), ERR_OK);
		assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_DENIED);
		assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
		assert_true(c[0].changed_us > was.changed_us);
		was = c[0];
	}
	assert_int_equal(registry_set_credential(r, id, "phone", HASH), ERR_OK);
	assert_int_equal(registry_set_credential(r, id, "third", HASH), ERR_OK);
	assert_int_equal(registry_list_credentials(r, id, c, 2, &n), ERR_OK);
	assert_int_equal(n, 2);
	assert_int_equal(registry_remove_credential(r, id, "PHONE"), ERR_OK);
	assert_int_equal(registry_check_credential(r, id, c[1].id, c[1].changed_us), ERR_DENIED);
	assert_int_equal(registry_remove_credential(r, id, "phone"), ERR_NOTFOUND);
	/* Disabled and enabled again. */
	assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_OK);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);
	assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_DENIED);
	assert_int_equal(registry_find_account_id(r, id, &a), ERR_OK);
	assert_true(a.disabled);
	assert_int_equal(registry_set_disabled(r, id, false), ERR_OK);
	assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_OK);
	/* Removed, and a namesake is not it. */
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	assert_int_equal(registry_remove_account(r, id), ERR_NOTFOUND);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &a.id), ERR_OK);
	assert_true(a.id != id);
	assert_int_equal(registry_check_credential(r, id, was.id, was.changed_us), ERR_DENIED);
	assert_int_equal(registry_check_credential(r, a.id, was.id, was.changed_us), ERR_DENIED);
	registry_close(r);
}

static void
test_history(void **state)
{
	struct registry *r = open_registry(*state);
	uint64_t id;

	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_EXISTS);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);
	assert_int_equal(registry_set_disabled(r, id, true), ERR_OK);	/* no change, no line */
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	registry_close(r);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history"), 5);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history WHERE account_name = 'a@x'"), 5);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM history WHERE detail LIKE '%$%'"), 0);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM sender"), 0);
	assert_int_equal(ask_sql(*state, "SELECT count(*) FROM credential"), 0);
}

static void
test_transaction(void **state)
{
	struct registry *r = open_registry(*state), *other = open_registry(*state);
	struct registry_account a;
	uint64_t id;

	assert_int_equal(registry_begin(r), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, &id), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, NULL), ERR_EXISTS);	/* undoes only itself */
	assert_int_equal(registry_find_account(other, "a@x", &a), ERR_NOTFOUND);
	/* Two writers: the other one waits, then gives up. */
	registry_set_timeout(other, 100);
	assert_int_equal(registry_add_account(other, "b@x", HASH, NULL), ERR_BUSY);
	assert_non_null(strstr(registry_reason(other), "locked"));
	assert_int_equal(registry_commit(r), ERR_OK);
	assert_int_equal(registry_find_account(other, "a@x", &a), ERR_OK);
	assert_int_equal(registry_add_account(other, "b@x", HASH, NULL), ERR_OK);
	assert_int_equal(registry_begin(r), ERR_OK);
	assert_int_equal(registry_remove_account(r, id), ERR_OK);
	registry_rollback(r);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	registry_close(other);
	registry_close(r);
}

static void
test_read_only(void **state)
{
	struct place *p = *state;
	struct registry *r, *w = open_registry(p);
	struct registry_account a;

	assert_int_equal(registry_open(&r, &p->in, &p->ids, false), ERR_OK);
	assert_int_equal(registry_add_account(r, "a@x", HASH, NULL), ERR_DENIED);
	assert_int_equal(registry_add_account(w, "a@x", HASH, NULL), ERR_OK);
	assert_int_equal(registry_find_account(r, "a@x", &a), ERR_OK);
	registry_close(w);
	registry_close(r);
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
	run_sql(p, "DROP TABLE sender; DROP TABLE credential; DROP TABLE account; DROP TABLE history; DROP TABLE ban;"
	    "PRAGMA application_id = 0; PRAGMA user_version = 0");
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
		cmocka_unit_test_setup_teardown(test_files_have_their_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_patterns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_walks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_credentials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_writer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
