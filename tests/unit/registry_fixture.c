/*
 * A registry in a folder of its own, for the unit tests of the registry library. As root it has an owner of its own below a folder
 * that only root may enter. No test itself.
 */
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry_fixture.h"

#include "conf.h"
#include "err.h"

int
registry_set_up(void **state)
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

int
registry_tear_down(void **state)
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

struct registry *
open_registry(struct place *p)
{
	struct registry *r;

	if (registry_open(&r, &p->in, &p->ids, true) != ERR_OK)
		fail_msg("%s", registry_reason(NULL));
	return r;
}

void
make_registry(struct place *p, const char *sql)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	char path[PATH_MAX + 8];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s%s", p->in.registry_file, names[i]);
		unlink(path);
	}
	run_sql(p, sql);
	assert_int_equal(chmod(p->in.registry_file, 0600), 0);
	assert_int_equal(chown(p->in.registry_file, p->ids.auth_uid, p->ids.auth_gid), 0);
}

void
run_sql(struct place *p, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(p->in.registry_file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

int
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

int
check_login(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us)
{
	struct registry_login login;

	return registry_check_login(r, account, credential, changed_us, &login);
}
