#ifndef COMMON_INSTANCE_H
#define COMMON_INSTANCE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define INSTANCE_SUBMIT_FILE "submit"	/* in run_dir: the local socket */

struct conf;

/*
 * Where one instance keeps its things. With a root DIR everything is inside DIR:
 *   DIR/postern.conf  DIR/registry/registry.db  DIR/spool/  DIR/tls/  DIR/run/ (pid file, empty/)
 * without one: /etc/postern/postern.conf, /var/lib/postern/registry.db, /var/spool/postern, /etc/postern/tls, /run/postern.
 * All paths are absolute.
 */
struct instance {
	char	root[PATH_MAX];		/* "" for the system's places */
	char	conf_file[PATH_MAX];
	char	registry_dir[PATH_MAX];	/* 0700, owned by the auth user; registry.db inside */
	char	registry_file[PATH_MAX];
	char	spool_dir[PATH_MAX];	/* the default; conf->spool_path wins where it is set */
	char	tls_dir[PATH_MAX];	/* 0700, root */
	char	dkim_dir[PATH_MAX];	/* 0700, owned by the keys user; there once a key was made (postern-keys --dkim) */
	char	run_dir[PATH_MAX];	/* 0755, root: posternd.pid */
	char	empty_dir[PATH_MAX];	/* 0555, root, always empty: the chroot of every program */
};

/* Fills in the paths; root NULL is the system's places, else made absolute. ERR_TOOBIG, ERR_SYSTEM. */
int	instance_open(struct instance *in, const char *root);

/* Where the spool is: conf->spool_path, relative to the root, or spool_dir. ERR_TOOBIG. */
int	instance_spool(const struct instance *in, const struct conf *c, char path[PATH_MAX]);

/* A file that the configuration names (tls.certificate, tls.key), relative to the root or /etc/postern. ERR_TOOBIG. */
int	instance_file(const struct instance *in, const char *name, char path[PATH_MAX]);

/* One user id (and group id of the same number, or the user's group) for each kind of program. */
struct instance_ids {
	bool	separate;	/* false when not root: every id is the caller's own */
	uid_t	smtp_uid, auth_uid, keys_uid, spool_uid, relay_uid;
	gid_t	smtp_gid, auth_gid, keys_gid, spool_gid, relay_gid;
};

/*
 * The users: not root, the caller; root with a root DIR, conf->users_base + 0, 1, 2, 3, 4; root in the system's places, the
 * users postern-smtp, postern-auth, postern-keys, postern where all exist, else the numbers; and postern-relay where that exists,
 * else its number (an older package does not make it). Never fails.
 */
void	instance_ids(const struct instance *in, const struct conf *c, struct instance_ids *ids);

/*
 * Opens a file of secrets for reading: a regular file, no link, owned by root or the caller, no rights for
 * group and others. ERR_NOTFOUND, ERR_DENIED (wrong owner or mode: say "chmod 600"), ERR_SYSTEM.
 */
int	instance_open_secret(const char *path, int *fd);

#endif
