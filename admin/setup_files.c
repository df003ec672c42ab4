/*
 * The files and folders of an instance: what certificate is to be used, and the creation of what is missing. Runs
 * in smtpadm as the instance's admin. Never overwrites a key: one that is replaced on purpose is kept beside it.
 */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "check.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "str.h"

/* The admin's own file: links are followed, as certbot makes them. */
int
setup_read_given(const char *path, struct buf *b, mode_t *mode)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0) {
		out_fix(errno == EACCES ? "the same command as root, or as the owner of the file" : "the name of a file that is there");
		return out_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, errno == EACCES ? "not_allowed" : "not_found",
		    "%s: %s", path, err_text(ERR_SYSTEM));
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		err = ERR_SYNTAX;
	else
		err = io_read_all(fd, b);
	io_close(&fd);
	*mode = st.st_mode;
	return err == ERR_OK ? EX_OK
			     : out_fail(EX_DATAERR, "bad_file", "%s: %s", path,
				   err == ERR_SYNTAX ? "this is no file" : err_text(err));
}

/* tls.certificate and tls.key are set back to their defaults, where the copies go. */
static int
use_default_paths(struct setup *s)
{
	static const char *const names[] = { "tls.certificate", "tls.key" };
	const char *const held[] = { s->conf.tls_certificate, s->conf.tls_key };
	int code = EX_OK;

	for (size_t i = 0; i < 2 && code == EX_OK; i++) {
		const char *fallback = conf_find(names[i])->fallback;

		if (strcmp(held[i], fallback) == 0)
			continue;
		out_say("%s was %s, becomes %s", names[i], held[i], fallback);
		code = conffile_set(&s->file, "tls", names[i] + strlen("tls."), fallback);
		s->file_changed = true;
	}
	return code == EX_OK && s->file_changed ? conffile_parse(&s->file, &s->conf) : code;
}

bool
setup_is_same(const char *path, const struct buf *b)
{
	struct buf there;
	bool same;

	buf_init(&there, CERTIFICATE_FILE_MAX);
	same = io_read_file(path, &there) == ERR_OK && there.len == b->len && memcmp(there.data, b->data, b->len) == 0;
	buf_wipe(&there);
	return same;
}

static int
find_paths(struct setup *s)
{
	if (instance_file(&s->a->in, s->conf.tls_certificate, s->chain_path) != ERR_OK ||
	    instance_file(&s->a->in, s->conf.tls_key, s->key_path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "the names of the certificate's files are too long");
	return EX_OK;
}

static int
plan_given(struct setup *s, const char *cert, const char *key)
{
	struct certificate_facts facts;
	mode_t mode;
	int code;

	if ((code = setup_read_given(cert, &s->chain, &mode)) != EX_OK || (code = setup_read_given(key, &s->key, &mode)) != EX_OK)
		return code;
	if (certificate_check(&s->chain, &s->key, s->hostname, &facts) != ERR_OK)
		return out_fail(
		    EX_DATAERR, "bad_certificate", "%s and %s: %s; nothing was changed", cert, key, facts.why);
	if (facts.warning[0] != 0)
		out_warn("%s: %s", cert, facts.warning);
	if ((mode & 077) != 0)
		out_warn("%s can be read by others: chmod 600 %s; the copy has mode 0600", key, key);
	if ((code = use_default_paths(s)) != EX_OK || (code = find_paths(s)) != EX_OK)
		return code;
	s->certificate =
	    setup_is_same(s->chain_path, &s->chain) && setup_is_same(s->key_path, &s->key) ? CERTIFICATE_KEPT : CERTIFICATE_COPIED;
	return EX_OK;
}

static bool
needs_certificate(const struct conf *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].kind != LISTENER_PLAIN)
			return true;
	return false;
}

static int
plan_made(struct setup *s)
{
	bool wanted = admin_has(s->a, OPT_SELF_SIGNED);
	char answer[16];

	if (!wanted && !needs_certificate(&s->conf))
		return EX_OK;
	if (!wanted && admin_has_terminal())
		wanted = admin_ask("There is no certificate. Make one that signs itself? [y/N] ", true, answer,
			     sizeof(answer)) &&
			 (answer[0] == 'y' || answer[0] == 'Y');
	if (!wanted) {
		out_fix("smtpadm setup with --cert FILE --key FILE, or with --self-signed");
		return out_fail(EX_USAGE, "no_certificate", "there is no certificate yet, and the listeners need one");
	}
	if (certificate_make(s->hostname, &s->chain, &s->key) != ERR_OK)
		return out_fail(EX_OSERR, "system", "no certificate could be made");
	s->certificate = CERTIFICATE_MADE;
	return EX_OK;
}

int
setup_plan_certificate(struct setup *s)
{
	const char *cert = admin_value(s->a, OPT_CERT), *key = admin_value(s->a, OPT_KEY);
	bool has_chain, has_key;
	struct stat st;
	int code;

	out_fix("smtpadm setup --cert FILE --key FILE, or smtpadm setup --self-signed");
	if ((cert == NULL) != (key == NULL))
		return out_fail(EX_USAGE, "usage", "--cert and --key belong together");
	if (cert != NULL && admin_has(s->a, OPT_SELF_SIGNED))
		return out_fail(EX_USAGE, "usage", "--self-signed and --cert exclude each other");
	out_fix("%s", "");
	if (cert != NULL)
		return plan_given(s, cert, key);
	if ((code = find_paths(s)) != EX_OK)
		return code;
	has_chain = lstat(s->chain_path, &st) == 0;
	has_key = lstat(s->key_path, &st) == 0;
	if (has_chain != has_key) {
		out_fix("remove it, or give --cert FILE --key FILE");
		return out_fail(EX_CONFIG, "configuration", "there is %s without %s; nothing was changed",
		    has_chain ? s->chain_path : s->key_path, has_chain ? s->key_path : s->chain_path);
	}
	if (!has_chain)
		return plan_made(s);
	s->certificate = CERTIFICATE_KEPT;
	return check_certificate(s->a, &s->conf);
}

/* Of a folder of ours that may lie in somebody else's: never through a link. */
static int
set_mode(const char *path, mode_t mode)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0)
		return ERR_SYSTEM;
	err = fchmod(fd, mode) == 0 ? ERR_OK : ERR_SYSTEM;
	io_close(&fd);
	return err;
}

static int
make_parents(const char *path)
{
	char parent[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		if (str_copy(parent, sizeof(parent), path, (size_t)(slash - path)) != ERR_OK)
			return ERR_TOOBIG;
		if (mkdir(parent, 0700) == 0) {
			if (set_mode(parent, 0755) != ERR_OK)
				return ERR_SYSTEM;
		} else if (errno != EEXIST) {
			return ERR_SYSTEM;
		}
	}
	return ERR_OK;
}

/* tighten: one that is there gets this mode, too. */
static int
make_folder(const char *path, mode_t mode, bool tighten)
{
	struct stat st;
	int err = make_parents(path);

	if (err == ERR_OK && mkdir(path, 0700) == 0)
		return set_mode(path, mode) == ERR_OK ? EX_OK
					      : out_fail(EX_CANTCREAT, "system", "%s: %s", path, err_text(ERR_SYSTEM));
	if (err != ERR_OK || errno != EEXIST)
		return out_fail(errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT, "system", "%s: %s", path,
		    err_text(ERR_SYSTEM));
	if ((tighten ? lstat(path, &st) : stat(path, &st)) != 0 || !S_ISDIR(st.st_mode))
		return out_fail(EX_CANTCREAT, "exists", "%s exists and is no folder", path);
	if (tighten && (st.st_mode & 07777 & ~mode) != 0) {
		out_say("%s had mode %04o, gets %04o", path, (unsigned)st.st_mode & 07777, (unsigned)mode);
		if (set_mode(path, mode) != ERR_OK)
			return out_fail(EX_NOPERM, "system", "%s: %s", path, err_text(ERR_SYSTEM));
	}
	if (!tighten && geteuid() == 0 && st.st_uid != 0)
		out_warn("%s belongs to user %u, who can replace what is in it", path, (unsigned)st.st_uid);
	return EX_OK;
}

/* What is replaced stays beside it, with ".old" behind its name. */
int
setup_keep_old(const char *path)
{
	char old[PATH_MAX];

	if (access(path, F_OK) != 0)
		return EX_OK;
	if (str_fmt(old, sizeof(old), "%s.old", path) != ERR_OK || (unlink(old) != 0 && errno != ENOENT) ||
	    link(path, old) != 0)
		return out_fail(EX_CANTCREAT, "system", "%s can't be kept as %s: %s", path, old, err_text(ERR_SYSTEM));
	out_say("%s is replaced; the old one is kept as %s", path, old);
	return EX_OK;
}

static int
write_certificate(struct setup *s)
{
	int code, err;

	if (s->certificate != CERTIFICATE_MADE && s->certificate != CERTIFICATE_COPIED)
		return EX_OK;
	if ((code = setup_keep_old(s->key_path)) != EX_OK || (code = setup_keep_old(s->chain_path)) != EX_OK)
		return code;
	if ((err = io_replace_file(s->key_path, s->key.data, s->key.len, 0600)) != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "%s: %s", s->key_path, err_text(err));
	if ((err = io_replace_file(s->chain_path, s->chain.data, s->chain.len, 0644)) != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "%s: %s", s->chain_path, err_text(err));
	return EX_OK;
}

int
setup_make_folders(struct setup *s)
{
	const struct instance *in = &s->a->in;
	int code;

	if ((code = make_folder(in->root[0] != 0 ? in->root : "/etc/postern", 0755, false)) != EX_OK ||
	    (code = make_folder(in->tls_dir, 0700, true)) != EX_OK ||
	    (code = make_folder(in->run_dir, 0755, true)) != EX_OK ||
	    (code = make_folder(in->empty_dir, 0555, true)) != EX_OK)
		return code;
	return write_certificate(s);
}
