/*
 * postern-keys --dkim: making and listing DKIM keys for smtpadm, in a process of its own. Started by the admin (root, or the
 * caller of an instance of his own); opens the folder, then is the keys user in a sandbox with that folder alone. Invariant:
 * what it prints is public.
 */
#include "dkim_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf.h"
#include "dkim_manage.h"
#include "err.h"
#include "instance.h"
#include "io.h"
#include "key.h"
#include "profile.h"
#include "sandbox.h"

#define WORDS_MAX 5

struct order {
	const char	*root;
	const char	*words[WORDS_MAX];
	size_t		 nwords;
	struct instance	 in;
	struct instance_ids ids;
	struct conf	 conf;
	struct dkim_folder folder;
	char		 why[PATH_MAX + 512];
};

static struct order order;

bool
dkim_is_asked(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--dkim") == 0)
			return true;
	return false;
}

static int
fail(int code, const char *text)
{
	fprintf(stderr, "%s\n", text);
	return code;
}

static int
exit_code(int err)
{
	switch (err) {
	case ERR_NOTFOUND:
		return EX_NOUSER;
	case ERR_EXISTS:
		return EX_CANTCREAT;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_BUSY:
	case ERR_SYNTAX:
	case ERR_CORRUPT:
	case ERR_TOOBIG:
		return EX_DATAERR;
	case ERR_FULL:
		return EX_IOERR;
	default:
		return EX_OSERR;
	}
}

static bool
take_arguments(struct order *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
			o->root = argv[++i];
		else if (strcmp(argv[i], "--dkim") != 0 && o->nwords < WORDS_MAX)
			o->words[o->nwords++] = argv[i];
		else if (strcmp(argv[i], "--dkim") != 0)
			return false;
	}
	return o->nwords != 0;
}

/* The folder is made with the first key, by root for the keys user. */
static int
make_folder(struct order *o)
{
	int fd;

	if (mkdir(o->in.dkim_dir, 0700) != 0)
		return errno == EEXIST ? EX_OK : EX_CANTCREAT;
	if (!o->ids.separate)
		return EX_OK;
	fd = open(o->in.dkim_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, o->ids.keys_uid, o->ids.keys_gid) != 0 || fsync(fd) != 0) {
		io_close(&fd);
		return EX_CANTCREAT;
	}
	io_close(&fd);
	return EX_OK;
}

static int
open_folder(struct order *o)
{
	struct conf_error error;
	bool adds = strcmp(o->words[0], "add") == 0;
	int err;

	if (instance_open(&o->in, o->root) != ERR_OK)
		return fail(EX_OSERR, "the instance's folder can't be used");
	if (conf_load(&o->conf, o->in.conf_file, NULL, NULL, &error) != ERR_OK)
		return fail(EX_CONFIG, error.text);
	instance_ids(&o->in, &o->conf, &o->ids);
	if (adds && make_folder(o) != EX_OK) {
		snprintf(o->why, sizeof(o->why), "the folder of DKIM keys %s can't be made: %s", o->in.dkim_dir, strerror(errno));
		return fail(EX_CANTCREAT, o->why);
	}
	err = dkim_folder_open(&o->folder, o->in.dkim_dir, o->ids.keys_uid, o->why, sizeof(o->why));
	if (err == ERR_NOTFOUND && strcmp(o->words[0], "list") == 0)
		return EX_OK;
	if (err == ERR_NOTFOUND)
		return fail(EX_NOUSER, "there are no DKIM keys yet");
	return err == ERR_OK ? EX_OK : fail(exit_code(err), o->why);
}

static int
enter(struct order *o)
{
	struct sandbox box = {
		.profile = &keys_dkim_profile, .privileged = o->ids.separate, .uid = o->ids.keys_uid, .gid = o->ids.keys_gid,
		.empty_fd = -1, .trees = { { .fd = o->folder.fd, .writable = true } }, .ntrees = 1,
		.require = o->conf.sandbox_require && o->ids.separate,
	};
	uint32_t parts;

	if (box.privileged && (box.empty_fd = open(o->in.empty_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return fail(EX_OSFILE, "the instance's folder run/empty can't be opened; run smtpadm setup");
	if (sandbox_prepare(&box) != ERR_OK || sandbox_demote(&box, &parts) != ERR_OK)
		return fail(EX_OSERR, "postern-keys can't give up its rights; run smtpadm selftest sandbox");
	io_close(&box.empty_fd);
	io_close(&box.ruleset_fd);
	if (sandbox_seal(&box, &parts) != ERR_OK)
		return fail(EX_OSERR, "postern-keys can't close its sandbox; run smtpadm selftest sandbox");
	return EX_OK;
}

static int
print_key(struct order *o, const struct dkim_name *n)
{
	char public[DKIM_PUBLIC_TEXT];
	struct dkim_key k;
	int err;

	if ((err = dkim_key_load(&k, &o->folder, n, o->why, sizeof(o->why))) != ERR_OK)
		return err;
	if ((err = dkim_put_public(public, &k)) != ERR_OK)
		snprintf(o->why, sizeof(o->why), "the public part of DKIM key %s of %s can't be written", n->selector, n->domain);
	else
		printf("%s %s %s %s %s %lld %s\n", n->domain, n->selector, dkim_algorithm_name(n->algorithm),
		    dkim_state_name(n->state), n->retired[0] != 0 ? n->retired : "-", (long long)k.created_s, public);
	dkim_key_release(&k);
	return err;
}

/* All, or the one that is named. */
static int
print(struct order *o, const char *domain, const char *selector)
{
	struct dkim_name *names;
	size_t n;
	int err;

	if ((err = dkim_folder_list(&o->folder, &names, &n, o->why, sizeof(o->why))) != ERR_OK)
		return err;
	for (size_t i = 0; i < n && err == ERR_OK; i++)
		if (domain == NULL || (strcmp(names[i].domain, domain) == 0 && strcmp(names[i].selector, selector) == 0))
			err = print_key(o, &names[i]);
	free(names);
	return err;
}

static int
add(struct order *o)
{
	static const char *const begins[] = {
		[DKIM_BEGIN_AUTO] = "auto", [DKIM_BEGIN_ACTIVE] = "active", [DKIM_BEGIN_WAITING] = "waiting",
	};
	struct dkim_name name = { .domain = "" };
	size_t begin = 0;
	int err;

	while (begin < 3 && strcmp(begins[begin], o->words[3]) != 0)
		begin++;
	if (begin == 3 || dkim_find_algorithm(o->words[2], &name.algorithm) != ERR_OK || !dkim_is_domain(o->words[1]) ||
	    (o->nwords == 5 && !dkim_is_selector(o->words[4]))) {
		snprintf(o->why, sizeof(o->why), "domain and selector are lower case letters, digits and hyphens, with dots between");
		return ERR_SYNTAX;
	}
	snprintf(name.domain, sizeof(name.domain), "%s", o->words[1]);
	snprintf(name.selector, sizeof(name.selector), "%s", o->nwords == 5 ? o->words[4] : "");
	if ((err = dkim_manage_add(&o->folder, &name, (enum dkim_begin)begin, o->why, sizeof(o->why))) != ERR_OK)
		return err;
	return print(o, name.domain, name.selector);
}

static int
perform(struct order *o)
{
	const char *verb = o->words[0], *domain = o->words[1], *selector = o->words[2];
	int err;

	if (strcmp(verb, "list") == 0 && o->nwords == 1)
		return print(o, NULL, NULL);
	if (strcmp(verb, "add") == 0 && o->nwords >= 4)
		return add(o);
	if (o->nwords != 3) {
		snprintf(o->why, sizeof(o->why), "usage: see keys/dkim_program.h; it is started by smtpadm(8)");
		return ERR_SYNTAX;
	}
	if (strcmp(verb, "remove") == 0)
		return dkim_manage_remove(&o->folder, domain, selector, o->why, sizeof(o->why));
	err = strcmp(verb, "activate") == 0 ? dkim_manage_activate(&o->folder, domain, selector, o->why, sizeof(o->why)) :
	    strcmp(verb, "retire") == 0 ? dkim_manage_retire(&o->folder, domain, selector, o->why, sizeof(o->why)) : ERR_SYNTAX;
	return err == ERR_OK ? print(o, domain, selector) : err;
}

int
dkim_program(int argc, char **argv)
{
	struct order *o = &order;
	int code, err;

	umask(077);
	o->folder.fd = -1;
	if (!take_arguments(o, argc, argv))
		return fail(EX_USAGE,
		    "usage: postern-keys [--root DIR] --dkim list|add|activate|retire|remove ...; it is started by smtpadm(8)");
	if ((code = open_folder(o)) != EX_OK || o->folder.fd < 0)
		return code;
	key_library_start();
	if ((code = enter(o)) != EX_OK)
		return code;
	if ((err = perform(o)) != ERR_OK)
		return fail(exit_code(err), o->why[0] != 0 ? o->why : err_text(err));
	return fflush(stdout) == 0 ? EX_OK : fail(EX_IOERR, "standard output can't be written");
}
