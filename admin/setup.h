#ifndef ADMIN_SETUP_H
#define ADMIN_SETUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "admin.h"
#include "conf.h"
#include "conffile.h"
#include "route.h"
#include "secret.h"

enum setup_certificate { CERTIFICATE_NONE, CERTIFICATE_KEPT, CERTIFICATE_MADE, CERTIFICATE_COPIED };
enum setup_account { ACCOUNT_NONE, ACCOUNT_KEPT, ACCOUNT_ADDED, ACCOUNT_CHANGED };

/* A set-up: everything is found out and checked first, then done. */
struct setup {
	struct admin		*a;
	char			 hostname[256];
	struct conffile		 file;
	bool			 file_changed;
	bool			 is_fresh;	/* there was no registry before */
	struct conf		 conf;		/* as it will be */
	struct instance_ids	 ids;
	enum setup_certificate	 certificate;
	struct buf		 chain, key;	/* to be written */
	char			 chain_path[PATH_MAX], key_path[PATH_MAX];
	char			 account_name[REGISTRY_NAME_MAX];
	enum setup_account	 account;
	struct secret		 secret;
	struct new_route	 route;		/* --route */
};

/* Each returns an exit code. The plans read only; the rest creates what is missing. */
int	setup_plan_conf(struct setup *s);		/* hostname and listeners into s->file and s->conf */
int	setup_plan_certificate(struct setup *s);
int	setup_make_folders(struct setup *s);		/* and the certificate's files */

/* Reads a file that the admin gives, through links; its mode goes to *mode. */
int	setup_read_given(const char *path, struct buf *b, mode_t *mode);
/* Whether a file holds these octets. */
bool	setup_is_same(const char *path, const struct buf *b);
/* Keeps what is there under the name with ".old" behind it. */
int	setup_keep_old(const char *path);

#endif
