/*
 * The folders of a spool: who may have them made, and the order of a walk.
 */
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "lock.h"
#include "name.h"
#include "spool.h"
#include "unit.h"

static char root[64];

static int
setup(void **state)
{
	(void)state;
	memcpy(root, "/tmp/postern-unit-walk-XXXXXX", 30);
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
own_ids(struct instance_ids *ids)
{
	*ids = (struct instance_ids){ .separate = geteuid() == 0, .spool_uid = geteuid(), .spool_gid = getegid() };
	if (ids->separate) {
		ids->spool_uid = 60603;
		ids->spool_gid = 60603;
	}
}

static void
put_file(const char *folder, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/spool/%s/%s", root, folder, name);
	assert_true((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) >= 0);
	close(fd);
}

struct seen {
	size_t	n;
	char	names[16][SPOOL_NAME_MAX];
	char	ids[16][SPOOL_ID_TEXT];
	enum spool_folder folders[16];
};

static int
note(const struct spool_entry *e, void *arg)
{
	struct seen *s = arg;
	struct stat st;

	assert_int_equal(fstat(e->fd, &st), 0);
	memcpy(s->names[s->n], e->name, sizeof(e->name));
	memcpy(s->ids[s->n], e->id, sizeof(e->id));
	s->folders[s->n++] = e->folder;
	return s->n == 16 ? 42 : 0;
}

static void
test_order(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct instance_ids ids;
	struct spool_entry e;
	struct spool_dirs d;
	char path[PATH_MAX], link[PATH_MAX];

	(void)state;
	own_ids(&ids);
	snprintf(path, sizeof(path), "%s/spool", root);
	assert_int_equal(spool_create(path, &ids), ERR_OK);
	assert_int_equal(spool_create(path, &ids), ERR_OK);
	assert_int_equal(spool_open(&d, path), ERR_OK);
	put_file("hold", "9.Q0000000000000002S0000000000000001T1.host");
	put_file("new", "1.Q0000000000000004S0000000000000001T1.host");
	put_file("cur", "5.Q0000000000000001S0000000000000001T1.host:2,S");
	put_file("failed", "3.Q0000000000000003S0000000000000001T1.host");
	put_file("failed", "another file");
	put_file("tmp", "1.Q0000000000000000S0000000000000001T1.host");
	snprintf(link, sizeof(link), "%s/spool/new/1.Q0000000000000005S0000000000000001T1.host", root);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	snprintf(link, sizeof(link), "%s/spool/new/1.Q0000000000000006S0000000000000001T1.host", root);
	assert_int_equal(mkfifo(link, 0600), 0);
	assert_int_equal(spool_walk(&d, note, s), 0);
	assert_int_equal(s->n, 5);
	for (size_t i = 0; i < 4; i++) {
		char id[SPOOL_ID_TEXT] = "000000000000000x";

		id[15] = (char)('1' + i);
		assert_string_equal(s->ids[i], id);
	}
	assert_int_equal(s->folders[0], SPOOL_CUR);
	assert_int_equal(s->folders[1], SPOOL_HOLD);
	assert_int_equal(s->folders[2], SPOOL_FAILED);
	assert_int_equal(s->folders[3], SPOOL_NEW);
	assert_string_equal(s->ids[4], "");
	assert_string_equal(s->names[4], "another file");
	assert_int_equal(spool_find(&d, "0000000000000002", &e), ERR_OK);
	assert_int_equal(e.folder, SPOOL_HOLD);
	close(e.fd);
	assert_int_equal(spool_find(&d, "0000000000000005", &e), ERR_NOTFOUND);
	assert_int_equal(spool_find(&d, "0000000000000000", &e), ERR_NOTFOUND);
	assert_int_equal(spool_find(&d, "", &e), ERR_NOTFOUND);
	/* It ends with what the call answers. */
	s->n = 15;
	assert_int_equal(spool_walk(&d, note, s), 42);
	spool_close(&d);
	free(s);
}

static void
test_folders(void **state)
{
	struct instance_ids ids;
	struct spool_dirs d, other;
	char path[PATH_MAX], inner[PATH_MAX];
	struct stat st;
	int fd, second;

	(void)state;
	own_ids(&ids);
	snprintf(path, sizeof(path), "%s/a/b/spool", root);
	assert_int_equal(spool_open(&d, path), ERR_NOTFOUND);
	assert_int_equal(spool_create(path, &ids), ERR_OK);
	for (enum spool_folder f = 0; f < SPOOL_NFOLDERS; f++) {
		snprintf(inner, sizeof(inner), "%.200s/%s", path, spool_folder_name(f));
		assert_int_equal(lstat(inner, &st), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700);
		assert_int_equal(st.st_uid, ids.spool_uid);
	}
	/* A lock is had once. */
	assert_int_equal(spool_open(&d, path), ERR_OK);
	assert_int_equal(spool_open(&other, path), ERR_OK);
	assert_int_equal(lock_take(&d, 0, &fd), ERR_OK);
	assert_int_equal(lock_take(&other, 50, &second), ERR_BUSY);
	close(fd);
	assert_int_equal(lock_take(&other, 50, &second), ERR_OK);
	close(second);
	spool_close(&d);
	spool_close(&other);
	/* A link instead of a folder is not followed. */
	snprintf(inner, sizeof(inner), "%.200s/hold", path);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(symlink("/tmp", inner), 0);
	assert_int_equal(spool_open(&d, path), ERR_DENIED);
	assert_int_equal(spool_create(path, &ids), ERR_DENIED);
	/* A folder of somebody else's that holds other things keeps its owner. */
	if (geteuid() == 0) {
		snprintf(path, sizeof(path), "%s/home", root);
		snprintf(inner, sizeof(inner), "%s/home/letter", root);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(mkdir(inner, 0755), 0);
		assert_int_equal(spool_create(path, &ids), ERR_DENIED);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, 0);
		assert_int_equal(rmdir(inner), 0);
		assert_int_equal(spool_create(path, &ids), ERR_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
