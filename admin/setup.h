#ifndef ADMIN_SETUP_H
#define ADMIN_SETUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "admin.h"
#include "conf.h"
#include "conffile.h"
#include "dkim.h"
#include "route.h"
#include "secret.h"

enum setup_certificate { CERTIFICATE_NONE, CERTIFICATE_KEPT, CERTIFICATE_MADE, CERTIFICATE_COPIED };
enum setup_account { ACCOUNT_NONE, ACCOUNT_KEPT, ACCOUNT_ADDED, ACCOUNT_CHANGED };

enum setup_service { SERVICE_NONE, SERVICE_STARTED, SERVICE_RELOADED, SERVICE_FAILED };

#define SETUP_DOMAINS_MAX 16
#define SETUP_ALGORITHMS 2

/* A domain that mail is sent from. */
struct setup_domain {
	char	name[256];
	bool	is_there;			/* in the registry before */
	bool	has_key[SETUP_ALGORITHMS];	/* before, of this algorithm and not retired */
};

enum setup_result { PROBE_NOT_TRIED, PROBE_GOOD, PROBE_FAULTY, PROBE_OUT_OF_REACH };
enum setup_message { MESSAGE_NONE, MESSAGE_WELCOME, MESSAGE_ACCEPTED };	/* WELCOME: all but its octets were taken */

/* What came of trying a listener. */
struct setup_probe {
	enum setup_result	 result;
	char			 tls[32];		/* "TLSv1.3"; "" for none */
	bool			 knows_certificate;	/* it showed one that is configured */
	bool			 logged_in;
	enum setup_message	 message;
	char			 id[64];		/* of the message */
	bool			 is_removed;		/* from the queue again */
	char			 said[200];		/* the reply that counts, or why there is none */
	char			 trace[4000];		/* of the message, a line each */
};

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
	struct setup_domain	 domains[SETUP_DOMAINS_MAX];
	size_t			 ndomains;
	struct dkim_rows	 keys;		/* all that there are at the end */
	char			 other_domain[256];	/* of the account, which nobody spoke of; or "" */
	enum setup_service	 service;
	int			 failed;	/* SERVICE_FAILED: the exit code, */
	char			 why[600];	/* and a sentence; "" when it was said */
	struct setup_probe	 probes[CONF_LISTENERS_MAX];	/* of the configuration's listeners */
};

/* Each returns an exit code. The plans read only; the rest creates what is missing. */
int	setup_plan_conf(struct setup *s);		/* hostname and listeners into s->file and s->conf */
int	setup_plan_certificate(struct setup *s);
int	setup_plan_domains(struct setup *s);		/* behind the account */
int	setup_make_folders(struct setup *s);		/* and the certificate's files */
int	setup_make_domains(struct setup *s);		/* in the registry, with their keys */

/* "rsa", "ed25519" */
const char *setup_algorithm(size_t i);

/* Whether there is a service to start, or one to tell. */
bool	setup_may_start(const struct setup *s);
/* Starts the service, or has the running one take what is new; s->service says what came of it. */
void	setup_start(struct setup *s);
/* Tries every listener, and removes what it left in the queue. */
void	setup_probe(struct setup *s);
/* Says what went wrong with either. Exit code. */
int	setup_judge(const struct setup *s);

/* In words, piece by piece, or in JSON, all at the end. */
void	setup_report_made(const struct setup *s);
void	setup_report_service(const struct setup *s);
void	setup_report_dns(const struct setup *s);
void	setup_report_next(const struct setup *s);
void	setup_report_json(const struct setup *s);

/* Reads a file that the admin gives, through links; its mode goes to *mode. */
int	setup_read_given(const char *path, struct buf *b, mode_t *mode);
/* Whether a file holds these octets. */
bool	setup_is_same(const char *path, const struct buf *b);
/* Keeps what is there under the name with ".old" behind it. */
int	setup_keep_old(const char *path);

#endif
