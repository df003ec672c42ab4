/*
 * Opening and creating the registry's database as its owner, and its versions. Part of the registry
 * library. Invariant: once open, no path is ever needed again: the file is in WAL mode, -wal and -shm
 * are open and stay on disk, temporary things are in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "owner.h"
#include "registry.h"
#include "schema.h"
#include "store.h"
#include "str.h"

#define BUSY_MS 5000

static char open_reason[PATH_MAX + 512];

const char *
registry_reason(const struct registry *r)
{
	return r != NULL ? r->reason : open_reason;
}

static int
execute(struct registry *r, const char *sql)
{
	sqlite3_exec(r->db, sql, NULL, NULL, NULL);
	return store_fail_sqlite(r, sqlite3_extended_errcode(r->db));
}

/* The number that a PRAGMA answers; also the read that makes SQLite open all its files. */
static int
read_number(struct registry *r, const char *pragma, int *value)
{
	sqlite3_stmt *s = NULL;

	*value = 0;
	if (sqlite3_prepare_v2(r->db, pragma, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		*value = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return store_fail_sqlite(r, sqlite3_extended_errcode(r->db));
}

static int
open_database(struct registry *r, const char *path)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int keep = 1, rc;

	if ((rc = sqlite3_open_v2(path, &r->db, flags, NULL)) != SQLITE_OK)
		return r->db != NULL ? store_fail_sqlite(r, rc) : store_fail(r, ERR_NOMEM, "out of memory");
	sqlite3_busy_timeout(r->db, BUSY_MS);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Closing would otherwise unlink -wal by a path that may mean something else by then. */
	sqlite3_file_control(r->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	return execute(r, schema_connection);
}

/* Which registry this is: its version, 0 when it is empty. */
static int
read_version(struct registry *r, int *version)
{
	int application, err;

	if ((err = read_number(r, "PRAGMA user_version", version)) != ERR_OK ||
	    (err = read_number(r, "PRAGMA application_id", &application)) != ERR_OK)
		return err;
	if (application != SCHEMA_APPLICATION_ID && (application != 0 || *version != 0))
		return store_fail(r, ERR_CORRUPT, "%s is the database of another program, not a registry", r->file);
	if (*version > REGISTRY_VERSION)
		return store_fail(r, ERR_VERSION,
		    "the registry %s is of version %d, this program knows %d: install the newer Postern", r->file, *version,
		    REGISTRY_VERSION);
	return ERR_OK;
}

/* Brings the schema to the newest version in one transaction. With `fresh`, only an empty database; else only a filled one. */
static int
migrate(struct registry *r, bool fresh)
{
	int version, err;

	if ((err = execute(r, "BEGIN IMMEDIATE")) != ERR_OK)
		return err;
	if ((err = read_version(r, &version)) == ERR_OK && fresh && version != 0)
		err = store_fail(r, ERR_EXISTS, "the registry %s is there already", r->file);
	while (err == ERR_OK && version < REGISTRY_VERSION)
		err = execute(r, schema_migration(version++));
	if (err == ERR_OK)
		err = execute(r, "COMMIT");
	if (err != ERR_OK)
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

/* Whoever opens an older one brings it up to date, to read too: else nobody could ask anything of it until somebody writes. */
static int
check_version(struct registry *r)
{
	int version, err;

	if ((err = read_version(r, &version)) != ERR_OK)
		return err;
	if (version == 0)
		return store_fail(r, ERR_NOTFOUND, "the registry %s was never finished: run smtpadm setup", r->file);
	return version == REGISTRY_VERSION ? ERR_OK : migrate(r, false);
}

static int
prepare_statements(struct registry *r)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(r->db, statement_text((enum statement)i), -1, SQLITE_PREPARE_PERSISTENT,
		    &r->statements[i], NULL);

		if (rc != SQLITE_OK)
			return store_fail_sqlite(r, rc);
	}
	return ERR_OK;
}

/* All that happens while the process is the registry's owner. */
static int
open_as_owner(struct registry *r, const char *path, bool writable)
{
	int err;

	if ((err = open_database(r, path)) != ERR_OK || (err = check_version(r)) != ERR_OK)
		return err;
	if (sqlite3_db_readonly(r->db, "main") != 0)
		return store_fail_sqlite(r, SQLITE_READONLY);
	/* A no-op unless somebody has changed it: a rollback journal would be made by name. */
	if ((err = execute(r, schema_empty)) != ERR_OK || (err = prepare_statements(r)) != ERR_OK ||
	    (err = execute(r, "SELECT count(*) FROM account")) != ERR_OK)
		return err;
	return writable ? ERR_OK : execute(r, "PRAGMA query_only = ON");
}

static int
create_as_owner(struct registry *r, const char *path)
{
	int fd, version, err;

	/* SQLite would ask the umask for the mode; -wal and -shm take theirs from this file. */
	if ((fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0 || fchmod(fd, 0600) != 0) {
		err = store_fail(r, io_error(), "the registry %s can't be made: %s", r->file, strerror(errno));
		io_close(&fd);
		return err;
	}
	io_close(&fd);
	if ((err = open_database(r, path)) != ERR_OK || (err = read_version(r, &version)) != ERR_OK)
		return err;
	if (version != 0)
		return store_fail(r, ERR_EXISTS, "the registry %s is there already", r->file);
	if ((err = execute(r, schema_empty)) != ERR_OK)
		return err;
	return migrate(r, true);
}

/* Runs one of the two above inside the registry's open folder. */
static int
run_as_owner(struct registry *r, const struct instance *in, const struct instance_ids *ids, int folder_fd, bool create,
    bool writable)
{
	char path[PATH_MAX] = "/registry.db", folder[PATH_MAX];
	struct owner owner;
	uint8_t seed;
	int err;

	if (ids->separate) {
		/* SQLite's random numbers come from /dev/urandom, which is out of sight in there. */
		sqlite3_randomness(sizeof(seed), &seed);
		if ((err = owner_enter(&owner, folder_fd, ids->auth_uid, ids->auth_gid)) != ERR_OK)
			return store_fail(r, err, "%s can't be entered as its owner: %s", in->registry_dir, strerror(errno));
	} else if (realpath(in->registry_dir, folder) == NULL ||
	    str_fmt(path, sizeof(path), "%s/registry.db", folder) != ERR_OK) {
		return store_fail(r, io_error(), "%s: %s", in->registry_dir, strerror(errno));
	}
	err = create ? create_as_owner(r, path) : open_as_owner(r, path, writable);
	if (ids->separate)
		owner_leave(&owner);
	/* A -wal that was made just now must be found again after a power cut. */
	if (err == ERR_OK && writable && fsync(folder_fd) != 0)
		err = store_fail(r, io_error(), "%s: %s", in->registry_dir, strerror(errno));
	return err;
}

static int
open_folder(struct registry *r, const struct instance *in, int *fd)
{
	int err;

	if ((*fd = open(in->registry_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
		return ERR_OK;
	err = errno == EACCES ? ERR_DENIED : io_error();
	if (err == ERR_NOTFOUND)
		return store_fail(r, err, "there is no registry at %s: run smtpadm setup", r->file);
	return store_fail(r, err, "the registry's folder %s can't be opened: %s", in->registry_dir, strerror(errno));
}

/* The folder and what is in it are the auth user's and nobody else's; fd is the open folder. */
static int
check_secret(struct registry *r, const struct instance *in, const struct instance_ids *ids, int fd)
{
	struct stat folder, file;

	if (fstat(fd, &folder) != 0)
		return store_fail(r, ERR_SYSTEM, "%s: %s", in->registry_dir, strerror(errno));
	if (fstatat(fd, "registry.db", &file, AT_SYMLINK_NOFOLLOW) != 0)
		file = folder;
	if (folder.st_uid != ids->auth_uid || file.st_uid != ids->auth_uid)
		return store_fail(r, ERR_DENIED,
		    "the registry in %s belongs to user %u, not %u: run this as that user, or chown -R %u:%u %s",
		    in->registry_dir, (unsigned)(folder.st_uid != ids->auth_uid ? folder.st_uid : file.st_uid),
		    (unsigned)ids->auth_uid, (unsigned)ids->auth_uid, (unsigned)ids->auth_gid, in->registry_dir);
	if ((folder.st_mode & 077) != 0)
		return store_fail(r, ERR_DENIED, "others may enter the registry's folder: chmod 700 %s", in->registry_dir);
	if (S_ISREG(file.st_mode) && (file.st_mode & 077) != 0)
		return store_fail(r, ERR_DENIED, "others may read the registry: chmod 600 %s*", r->file);
	return ERR_OK;
}

static int
sync_parent(const char *path)
{
	char copy[PATH_MAX];
	int fd, err = ERR_OK;

	if ((err = str_fmt(copy, sizeof(copy), "%s", path)) != ERR_OK)
		return err;
	if ((fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fsync(fd) != 0)
		err = io_error();
	io_close(&fd);
	return err;
}

/* The folder, made or there already, 0700 and owned by the auth user; one that a third user owns is left alone. */
static int
make_folder(struct registry *r, const struct instance *in, const struct instance_ids *ids, int *fd)
{
	struct stat st;
	int err;

	if (mkdir(in->registry_dir, 0700) != 0 && errno != EEXIST)
		return store_fail(r, io_error(), "the registry's folder %s can't be made: %s", in->registry_dir,
		    strerror(errno));
	if ((err = open_folder(r, in, fd)) != ERR_OK)
		return err;
	if (fstat(*fd, &st) != 0 || (st.st_uid != geteuid() && st.st_uid != ids->auth_uid))
		return store_fail(r, ERR_DENIED,
		    "the registry's folder %s belongs to another user: remove it or choose another place", in->registry_dir);
	if (fchown(*fd, ids->auth_uid, ids->auth_gid) != 0 || fchmod(*fd, 0700) != 0 ||
	    (err = sync_parent(in->registry_dir)) != ERR_OK)
		return store_fail(r, io_error(), "the registry's folder %s: %s", in->registry_dir, strerror(errno));
	return ERR_OK;
}

static int
allocate(struct registry **r, const struct instance *in)
{
	if ((*r = calloc(1, sizeof(**r))) == NULL) {
		snprintf(open_reason, sizeof(open_reason), "out of memory");
		return ERR_NOMEM;
	}
	return str_fmt((*r)->file, sizeof((*r)->file), "%s", in->registry_file);
}

int
registry_create(const struct instance *in, const struct instance_ids *ids)
{
	struct registry *r;
	int fd = -1, err, saved;

	if ((err = allocate(&r, in)) != ERR_OK)
		return err;
	if ((err = make_folder(r, in, ids, &fd)) == ERR_OK)
		err = run_as_owner(r, in, ids, fd, true, true);
	saved = errno;
	snprintf(open_reason, sizeof(open_reason), "%s", r->reason);
	io_close(&fd);
	registry_close(r);
	errno = saved;
	return err;
}

int
registry_open(struct registry **registry, const struct instance *in, const struct instance_ids *ids, bool writable)
{
	struct registry *r;
	int fd = -1, err, saved;

	*registry = NULL;
	if ((err = allocate(&r, in)) != ERR_OK)
		return err;
	if ((err = open_folder(r, in, &fd)) == ERR_OK && (err = check_secret(r, in, ids, fd)) == ERR_OK)
		err = run_as_owner(r, in, ids, fd, false, writable);
	saved = errno;
	io_close(&fd);
	if (err == ERR_OK) {
		r->writable = writable;
		*registry = r;
		return ERR_OK;
	}
	snprintf(open_reason, sizeof(open_reason), "%s", r->reason);
	registry_close(r);
	errno = saved;
	return err;
}

void
registry_close(struct registry *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(r->statements[i]);
	/* So that a copy of the one file is nearly always a whole backup. Waits for nobody. */
	if (r->writable)
		sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_close(r->db);
	free(r);
}
