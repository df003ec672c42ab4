/*
 * What a configuration relies on, looked at before a daemon trips over it. Runs in smtpadm with the admin's
 * rights, reads only.
 */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "certificate.h"
#include "dkim.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "route.h"
#include "str.h"

static int
fault(const char *path, const char *what)
{
	return out_fail(EX_CONFIG, "configuration", "%s: %s", path, what);
}

/* Rights that are too wide, or somebody else's: the code that posternd ends with, too. */
static int
rights_fault(const char *path, const char *fix, const char *what)
{
	out_fix("%s %s", fix, path);
	return out_fail(EX_NOPERM, "not_allowed", "%s: %s", path, what);
}

static int
missing(const char *path, const char *what)
{
	out_fix("smtpadm setup --self-signed, or smtpadm setup --cert FILE --key FILE");
	return out_fail(EX_NOINPUT, "not_found", "%s: the %s is missing", path, what);
}

static int
read_key(const char *path, struct buf *key)
{
	int fd, err = instance_open_secret(path, &fd);

	if (err == ERR_DENIED)
		return rights_fault(path, "chmod 600",
		    "the private key must be a regular file, no link, owned by root or you, with no rights "
		    "for group and others");
	if (err == ERR_NOTFOUND)
		return missing(path, "private key");
	if (err == ERR_SYSTEM && errno == EACCES) {
		out_fix("the same command as root, or as the owner of the instance");
		return out_fail(EX_NOPERM, "not_allowed", "%s: the private key can't be read by you", path);
	}
	if (err != ERR_OK) {
		out_fix("smtpadm setup --self-signed, or smtpadm setup --cert FILE --key FILE");
		return out_fail(
		    EX_CONFIG, "configuration", "%s: the private key can't be read: %s", path, err_text(err));
	}
	err = io_read_all(fd, key);
	io_close(&fd);
	return err == ERR_OK ? EX_OK : fault(path, "the private key can't be read");
}

/* Certificates are public, and certbot's are links: they are followed, as posternd does. */
static int
read_chain(const char *path, struct buf *chain)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = fd >= 0 ? ERR_OK : io_error();

	if (err == ERR_OK)
		err = io_read_all(fd, chain);
	else if (errno == EACCES)
		return out_fail(EX_NOPERM, "not_allowed", "%s: the certificate can't be read by you", path);
	io_close(&fd);
	if (err == ERR_OK)
		return EX_OK;
	if (err == ERR_NOTFOUND)
		return missing(path, "certificate");
	out_fix("smtpadm setup --self-signed, or smtpadm setup --cert FILE --key FILE");
	return out_fail(EX_CONFIG, "configuration", "%s: the certificate can't be read: %s", path, err_text(err));
}

int
check_pair(const struct admin *a, const struct conf_pair *p, struct buf *chain, struct certificate_facts *facts,
    const char *hostname)
{
	char chain_path[PATH_MAX], key_path[PATH_MAX];
	struct buf key;
	int code;

	if (instance_file(&a->in, p->certificate, chain_path) != ERR_OK || instance_file(&a->in, p->key, key_path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "%s or %s is too long", p->certificate_setting, p->key_setting);
	if ((code = read_chain(chain_path, chain)) != EX_OK)
		return code;
	buf_init(&key, CERTIFICATE_FILE_MAX);
	if ((code = read_key(key_path, &key)) == EX_OK && certificate_check(chain, &key, hostname, facts) != ERR_OK)
		code = out_fail(EX_CONFIG, "configuration", "%s and %s: %s", chain_path, key_path, facts->why);
	buf_wipe(&key);
	return code;
}

/* The first fault's code; all are said. */
static int
worse(int a, int b)
{
	return a != EX_OK ? a : b;
}

int
check_certificate(const struct admin *a, const struct conf *c)
{
	struct certificate_facts facts;
	struct conf_pair pair;
	struct buf chain;
	int code = EX_OK;

	for (size_t i = 0; conf_pair(c, i, &pair); i++) {
		int found;

		buf_init(&chain, CERTIFICATE_FILE_MAX);
		found = check_pair(a, &pair, &chain, &facts, i == 0 ? c->hostname : NULL);
		if (found == EX_OK && facts.warning[0] != 0)
			out_warn("%s: %s", pair.certificate, facts.warning);
		buf_free(&chain);
		code = worse(code, found);
	}
	return code;
}

static bool
is_empty(const char *path)
{
	const struct dirent *entry;
	bool empty = true;
	DIR *d = opendir(path);

	if (d == NULL)
		return errno == EACCES;
	while ((entry = readdir(d)) != NULL)
		empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	closedir(d);
	return empty;
}

static int
check_owner(const char *path, const struct stat *st, uid_t owner)
{
	if (st->st_uid == owner)
		return EX_OK;
	out_fix("chown %u %s", (unsigned)owner, path);
	return out_fail(EX_NOPERM, "not_allowed", "%s: belongs to user %u, not to user %u", path, (unsigned)st->st_uid,
	    (unsigned)owner);
}

static int
check_folder(const char *path, mode_t forbidden, uid_t owner)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (errno == EACCES)
			return EX_OK;
		out_fix("smtpadm setup");
		return out_fail(errno == ENOENT ? EX_NOINPUT : EX_OSERR, errno == ENOENT ? "not_found" : "system", "%s: %s", path,
		    err_text(ERR_SYSTEM));
	}
	if (!S_ISDIR(st.st_mode))
		return fault(path, "this is no folder");
	if ((st.st_mode & forbidden) != 0)
		return rights_fault(path, (forbidden & 0777) == 077 ? "chmod 700" : "chmod go-w",
		    "others have more rights to this folder than "
		    "is safe");
	return check_owner(path, &st, owner);
}

/* The registry's files; -wal and -shm are there only while it is in use. */
static int
check_registry(const struct instance *in, const struct instance_ids *ids)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	int code = EX_OK;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char path[PATH_MAX];
		struct stat st;

		if (str_fmt(path, sizeof(path), "%s%s", in->registry_file, ends[i]) != ERR_OK)
			return fault(in->registry_file, "the path is too long");
		if (lstat(path, &st) != 0) {
			if (i != 0 || errno != ENOENT)
				continue;
			out_fix("smtpadm setup");
			code = out_fail(EX_NOINPUT, "not_found", "%s: the registry is missing", path);
		} else if (!S_ISREG(st.st_mode)) {
			code = worse(code, fault(path, "this is no regular file"));
		} else if ((st.st_mode & 077) != 0) {
			code = worse(code, rights_fault(path, "chmod 600", "others may read the registry"));
		} else {
			code = worse(code, check_owner(path, &st, ids->auth_uid));
		}
	}
	return code;
}

/* As postern-keys sees them, whose user they belong to. */
static int
check_dkim(const struct admin *a)
{
	struct dkim_rows keys;
	int code;

	if (access(a->in.dkim_dir, F_OK) != 0)
		return EX_OK;
	code = dkim_list(a, &keys);
	dkim_rows_free(&keys);
	return code;
}

int
check_instance(const struct admin *a, const struct conf *c)
{
	char spool[PATH_MAX];
	struct instance_ids ids;
	struct stat st;
	int code = EX_OK;
	bool is_there;

	instance_ids(&a->in, c, &ids);
	if (stat(a->in.conf_file, &st) != 0)
		return out_fail(EX_NOINPUT, "no_instance", "%s: %s", a->in.conf_file, err_text(ERR_SYSTEM));
	if (geteuid() != 0 && st.st_uid != geteuid()) {
		out_fix("the same command as root, or as the owner of the instance");
		return out_fail(EX_NOPERM, "not_allowed", "%s belongs to user %u: others can't check what it relies on",
		    a->in.conf_file, (unsigned)st.st_uid);
	}
	if ((st.st_mode & 022) != 0)
		code = rights_fault(a->in.conf_file, "chmod go-w", "others can write the configuration");
	if (c->workers_spare > c->workers_max)
		out_warn("workers.spare is %llu and workers.max is %llu: only so many sessions are served at a time, and the other "
		    "spare workers wait for nothing", (unsigned long long)c->workers_spare, (unsigned long long)c->workers_max);
	code = worse(code, check_certificate(a, c));
	for (size_t i = 0; i < c->nroutes; i++)
		code = worse(code, route_check(a, &c->routes[i]));
	code = worse(code, check_dkim(a));
	code = worse(code, check_folder(a->in.registry_dir, 077, ids.auth_uid));
	code = worse(code, check_registry(&a->in, &ids));
	if (instance_spool(&a->in, c, spool) != ERR_OK)
		code = worse(code, fault("spool.path", "is too long"));
	else
		code = worse(code, check_folder(spool, 077, ids.spool_uid));
	code = worse(code, check_folder(a->in.tls_dir, 077, geteuid()));
	/* In the system's places run/ goes when the service stops, and posternd makes it. */
	is_there = a->in.root[0] != 0 || access(a->in.empty_dir, F_OK) == 0;
	if (is_there)
		code = worse(code, check_folder(a->in.empty_dir, 0222, geteuid()));
	if (is_there && !is_empty(a->in.empty_dir))
		code = worse(code, fault(a->in.empty_dir, "this folder must be empty: it is the root of every sandbox"));
	return code;
}
