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
#include "err.h"
#include "io.h"
#include "out.h"

static int
fault(const char *path, const char *fix, const char *what)
{
	if (fix != NULL)
		out_fix("%s %s", fix, path);
	return out_fail(EX_CONFIG, "configuration", "%s: %s", path, what);
}

static int
read_key(const char *path, struct buf *key)
{
	int fd, err = instance_open_secret(path, &fd);

	if (err == ERR_DENIED)
		return fault(path, "chmod 600",
		    "the private key must be a regular file, no link, owned by root or you, with no rights "
		    "for group and others");
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
	return err == ERR_OK ? EX_OK : fault(path, NULL, "the private key can't be read");
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

static int
worse(int a, int b)
{
	return a == EX_CONFIG || b == EX_OK ? a : b;
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
check_folder(const char *path, mode_t forbidden, uid_t owner)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (errno == EACCES)
			return EX_OK;
		out_fix("smtpadm setup");
		return out_fail(EX_CONFIG, "configuration", "%s: %s", path, err_text(ERR_SYSTEM));
	}
	if (!S_ISDIR(st.st_mode))
		return fault(path, NULL, "this is no folder");
	if ((st.st_mode & forbidden) != 0)
		return fault(path, (forbidden & 0777) == 077 ? "chmod 700" : "chmod go-w",
		    "others have more rights to this folder than "
		    "is safe");
	if (st.st_uid != owner) {
		out_fix("chown %u %s", (unsigned)owner, path);
		return out_fail(EX_CONFIG, "configuration", "%s: belongs to user %u, not to user %u", path,
		    (unsigned)st.st_uid, (unsigned)owner);
	}
	return EX_OK;
}

int
check_instance(const struct admin *a, const struct conf *c)
{
	char spool[PATH_MAX];
	struct instance_ids ids;
	struct stat st;
	int code = EX_OK;

	instance_ids(&a->in, c, &ids);
	if (stat(a->in.conf_file, &st) != 0)
		return out_fail(EX_NOINPUT, "no_instance", "%s: %s", a->in.conf_file, err_text(ERR_SYSTEM));
	if (geteuid() != 0 && st.st_uid != geteuid()) {
		out_fix("the same command as root, or as the owner of the instance");
		return out_fail(EX_NOPERM, "not_allowed", "%s belongs to user %u: others can't check what it relies on",
		    a->in.conf_file, (unsigned)st.st_uid);
	}
	if ((st.st_mode & 022) != 0)
		code = fault(a->in.conf_file, "chmod go-w", "others can write the configuration");
	code = worse(code, check_certificate(a, c));
	code = worse(code, check_folder(a->in.registry_dir, 077, ids.auth_uid));
	if (instance_spool(&a->in, c, spool) != ERR_OK)
		code = fault("spool.path", NULL, "is too long");
	else
		code = worse(code, check_folder(spool, 077, ids.spool_uid));
	code = worse(code, check_folder(a->in.tls_dir, 077, geteuid()));
	code = worse(code, check_folder(a->in.empty_dir, 0222, geteuid()));
	if (!is_empty(a->in.empty_dir))
		code = fault(a->in.empty_dir, NULL, "this folder must be empty: it is the root of every sandbox");
	return code;
}
