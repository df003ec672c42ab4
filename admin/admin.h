#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sysexits.h>

#include "instance.h"

struct conf;

#define ADMIN_WORDS_MAX 512
#define ADMIN_OPTIONS_MAX 256
#define EX_NO 1		/* the answer is no; the other exit codes are those of sysexits(3) */

enum option_id {
	OPT_ROOT, OPT_JSON, OPT_QUIET, OPT_VERBOSE, OPT_DRY_RUN, OPT_YES, OPT_COLOR, OPT_TIME, OPT_HELP, OPT_VERSION,
	OPT_HOSTNAME, OPT_ACCOUNT, OPT_CERT, OPT_KEY, OPT_SELF_SIGNED, OPT_LISTEN, OPT_PASSWORD_STDIN,
	OPT_STDIN, OPT_GENERATE, OPT_HASH_STDIN, OPT_CHANGED,
	OPT_ID, OPT_FROM, OPT_TO, OPT_DOMAIN, OPT_STATE, OPT_OLDER, OPT_NEWER, OPT_SIZE, OPT_LIMIT, OPT_SORT, OPT_ALL,
	OPT_HEADERS, OPT_BODY, OPT_ENVELOPE, OPT_FOR, OPT_PEER, OPT_REASON, OPT_NAME, OPT_EXPIRES, OPT_DEVICE,
	OPT_SENDER, OPT_RCPT, OPT_NET, OPT_CANARY, OPT_LOCAL_USER, OPT_MAIL,
	OPT_CREDENTIAL, OPT_ROUTE, OPT_TO_ROUTE, OPT_MESSAGE_ID, OPT_SINCE, OPT_FOLLOW,
	OPT_ALGORITHM, OPT_SELECTOR, OPT_ACTIVATE, OPT_NO_ACTIVATE,
	OPT_TO_DOMAIN, OPT_FROM_DOMAIN, OPT_TLS, OPT_USER, OPT_CA, OPT_NO_START,
	OPT_COUNT
};
#define OPT(id) (1ULL << (OPT_##id))

enum time_style { TIME_DEFAULT, TIME_UTC, TIME_LOCAL, TIME_REL };

/* What the command line says. */
struct admin {
	bool			 dry_run, yes;
	enum time_style		 time;
	struct instance		 in;
	const char		*words[ADMIN_WORDS_MAX];	/* behind noun and verb */
	size_t			 nwords;
	enum option_id		 options[ADMIN_OPTIONS_MAX];
	const char		*values[ADMIN_OPTIONS_MAX];	/* NULL for options without a value */
	size_t			 noptions;
};

bool	admin_has(const struct admin *a, enum option_id id);
/* The value of an option that may stand once, or NULL. */
const char *admin_value(const struct admin *a, enum option_id id);
/* The values of an option that may stand several times: start with *i = 0; NULL behind the last. */
const char *admin_next(const struct admin *a, enum option_id id, size_t *i);

/*
 * Every function below and every command returns 0 or an exit code, and has then said why.
 */

/* The instance's configuration. */
int	admin_load_conf(const struct admin *a, struct conf *c);

/* Before a change of `count` objects, called `nouns`, that can't be had back: asks on a terminal; without one, several need --yes. */
int	admin_confirm(const struct admin *a, const char *what, const char *nouns, const char *const *samples, size_t count);

/* A line typed on the terminal, without its end, wiped by the caller. False at its end. */
bool	admin_ask(const char *prompt, bool echo, char *to, size_t size);
bool	admin_has_terminal(void);

/* The exit code and short name for an error of a module. */
int	admin_code(int err);
const char *admin_name(int err);

#endif
