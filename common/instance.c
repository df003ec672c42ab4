/*
 * Where an instance keeps its things and under which users its programs run. Runs in every program while
 * it starts, before it gives up its rights, and in smtpadm.
 */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "io.h"
#include "str.h"

static int
fill(struct instance *in, const char *conf, const char *registry, const char *spool, const char *tls, const char *dkim, const char *run)
{
	bool ok = str_fmt(in->conf_file, PATH_MAX, "%s%s/postern.conf", in->root, conf) == ERR_OK &&
	    str_fmt(in->registry_dir, PATH_MAX, "%s%s", in->root, registry) == ERR_OK &&
	    str_fmt(in->registry_file, PATH_MAX, "%s%s/registry.db", in->root, registry) == ERR_OK &&
	    str_fmt(in->spool_dir, PATH_MAX, "%s%s", in->root, spool) == ERR_OK &&
	    str_fmt(in->tls_dir, PATH_MAX, "%s%s", in->root, tls) == ERR_OK &&
	    str_fmt(in->dkim_dir, PATH_MAX, "%s%s", in->root, dkim) == ERR_OK &&
	    str_fmt(in->run_dir, PATH_MAX, "%s%s", in->root, run) == ERR_OK &&
	    str_fmt(in->empty_dir, PATH_MAX, "%s%s/empty", in->root, run) == ERR_OK;

	return ok ? ERR_OK : ERR_TOOBIG;
}

int
instance_open(struct instance *in, const char *root)
{
	char folder[PATH_MAX];

	*in = (struct instance){ .root = "" };
	if (root == NULL || root[0] == 0)
		return fill(in, "/etc/postern", "/var/lib/postern", "/var/spool/postern", "/etc/postern/tls", "/etc/postern/dkim",
		    "/run/postern");
	if (root[0] == '/') {
		if (str_fmt(in->root, PATH_MAX, "%s", root) != ERR_OK)
			return ERR_TOOBIG;
	} else {
		if (getcwd(folder, sizeof(folder)) == NULL)
			return ERR_SYSTEM;
		if (str_fmt(in->root, PATH_MAX, "%s/%s", folder, root) != ERR_OK)
			return ERR_TOOBIG;
	}
	return fill(in, "", "/registry", "/spool", "/tls", "/dkim", "/run");
}

int
instance_file(const struct instance *in, const char *name, char path[PATH_MAX])
{
	if (name[0] == '/')
		return str_fmt(path, PATH_MAX, "%s", name);
	return str_fmt(path, PATH_MAX, "%s/%s", in->root[0] != 0 ? in->root : "/etc/postern", name);
}

int
instance_spool(const struct instance *in, const struct conf *c, char path[PATH_MAX])
{
	if (c->spool_path[0] == 0)
		return str_fmt(path, PATH_MAX, "%s", in->spool_dir);
	return instance_file(in, c->spool_path, path);
}

void
instance_ids(const struct instance *in, const struct conf *c, struct instance_ids *ids)
{
	static const char *const names[] = { "postern-smtp", "postern-auth", "postern-keys", "postern", "postern-relay" };
	uid_t *const uids[] = { &ids->smtp_uid, &ids->auth_uid, &ids->keys_uid, &ids->spool_uid, &ids->relay_uid };
	gid_t *const gids[] = { &ids->smtp_gid, &ids->auth_gid, &ids->keys_gid, &ids->spool_gid, &ids->relay_gid };
	bool named = in->root[0] == 0;

	ids->separate = geteuid() == 0;
	for (size_t i = 0; i < 5; i++) {
		*uids[i] = ids->separate ? c->users_base + (uid_t)i : geteuid();
		*gids[i] = ids->separate ? c->users_base + (gid_t)i : getegid();
		named = named && (i == 4 || getpwnam(names[i]) != NULL);
	}
	for (size_t i = 0; ids->separate && named && i < 5; i++) {
		const struct passwd *pw = getpwnam(names[i]);

		if (pw == NULL)
			continue;
		*uids[i] = pw->pw_uid;
		*gids[i] = pw->pw_gid;
	}
}

int
instance_open_secret(const char *path, int *fd)
{
	struct stat st;

	if ((*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)) < 0)
		return errno == ELOOP ? ERR_DENIED : io_error();
	if (fstat(*fd, &st) != 0) {
		io_close(fd);
		return ERR_SYSTEM;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || (st.st_uid != 0 && st.st_uid != geteuid())) {
		io_close(fd);
		return ERR_DENIED;
	}
	return ERR_OK;
}
