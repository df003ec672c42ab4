#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "admin.h"

/* One row of the table of commands. */
struct command {
	const char	*noun, *verb;	/* verb NULL: a question without one, such as status */
	int		(*run)(struct admin *a);
	unsigned	 min, max;	/* words behind the verb */
	uint64_t	 options;	/* beside the global ones: OPT(...) bits */
	const char	*arguments;	/* for the help */
	const char	*help;		/* one sentence */
};

struct option {
	const char	*name;		/* without dashes */
	char		 letter;	/* or 0 */
	const char	*value;		/* what its value is called, NULL: it has none */
	bool		 repeats;
	const char	*help;
};

#define OPTIONS_GLOBAL                                                                                          \
	(OPT(ROOT) | OPT(JSON) | OPT(QUIET) | OPT(VERBOSE) | OPT(DRY_RUN) | OPT(YES) | OPT(COLOR) | OPT(TIME) | \
	    OPT(HELP) | OPT(VERSION))
#define OPTIONS_FILTER                                                                                       \
	(OPT(ID) | OPT(ACCOUNT) | OPT(FROM) | OPT(TO) | OPT(DOMAIN) | OPT(STATE) | OPT(OLDER) | OPT(NEWER) | \
	    OPT(SIZE) | OPT(CREDENTIAL) | OPT(ROUTE) | OPT(REASON) | OPT(ALL) | OPT(LIMIT) | OPT(SORT))

extern const struct option command_options[OPT_COUNT];

/* An option as this noun has it. */
const struct option *command_option(const char *noun, enum option_id id);

/* Row i of the table of commands, NULL behind the last. */
const struct command *command_row(size_t i);

/*
 * Finds the row for the leading words, synonyms included; *used is how many of them name it. Says what is wrong
 * and returns NULL when there is none.
 */
const struct command *command_find(const char *const *words, size_t nwords, size_t *used);

/* Help to standard output: the overview, a noun's, or one command's, as far as the words go. Exit code. */
int	command_help(const char *const *words, size_t nwords);

int	cmd_setup(struct admin *a);
int	cmd_status(struct admin *a);
int	cmd_reload(struct admin *a);
int	cmd_pause_submission(struct admin *a);
int	cmd_resume_submission(struct admin *a);
int	cmd_drain(struct admin *a);
int	cmd_session_list(struct admin *a);
int	cmd_session_kill(struct admin *a);
int	cmd_metrics(struct admin *a);
int	cmd_account_add(struct admin *a);
int	cmd_account_list(struct admin *a);
int	cmd_account_show(struct admin *a);
int	cmd_account_remove(struct admin *a);
int	cmd_account_disable(struct admin *a);
int	cmd_account_enable(struct admin *a);
int	cmd_account_passwd(struct admin *a);
int	cmd_account_rename(struct admin *a);
int	cmd_account_limit(struct admin *a);
int	cmd_account_import(struct admin *a);
int	cmd_account_export(struct admin *a);
int	cmd_credential_add(struct admin *a);
int	cmd_credential_change(struct admin *a);
int	cmd_account_contain(struct admin *a);
int	cmd_account_restore(struct admin *a);
int	cmd_account_usage(struct admin *a);
int	cmd_account_logins(struct admin *a);
int	cmd_account_test(struct admin *a);
int	cmd_credential_list(struct admin *a);
int	cmd_credential_show(struct admin *a);
int	cmd_credential_revoke(struct admin *a);
int	cmd_credential_rotate(struct admin *a);
int	cmd_ban_list(struct admin *a);
int	cmd_ban_add(struct admin *a);
int	cmd_ban_allow(struct admin *a);
int	cmd_ban_remove(struct admin *a);
int	cmd_sender_add(struct admin *a);
int	cmd_sender_list(struct admin *a);
int	cmd_sender_remove(struct admin *a);
int	cmd_sender_who(struct admin *a);
int	cmd_sender_check(struct admin *a);
int	cmd_config_show(struct admin *a);
int	cmd_config_get(struct admin *a);
int	cmd_config_set(struct admin *a);
int	cmd_config_explain(struct admin *a);
int	cmd_config_check(struct admin *a);
int	cmd_tls_show(struct admin *a);
int	cmd_tls_check(struct admin *a);
int	cmd_tls_reload(struct admin *a);
int	cmd_route_add(struct admin *a);
int	cmd_route_list(struct admin *a);
int	cmd_route_show(struct admin *a);
int	cmd_route_remove(struct admin *a);
int	cmd_route_test(struct admin *a);
int	cmd_queue_list(struct admin *a);
int	cmd_queue_count(struct admin *a);
int	cmd_queue_summary(struct admin *a);
int	cmd_queue_remove(struct admin *a);
int	cmd_queue_hold(struct admin *a);
int	cmd_queue_release(struct admin *a);
int	cmd_queue_retry(struct admin *a);
int	cmd_queue_bounce(struct admin *a);
int	cmd_queue_reroute(struct admin *a);
int	cmd_queue_export(struct admin *a);
int	cmd_pause_delivery(struct admin *a);
int	cmd_resume_delivery(struct admin *a);
int	cmd_trace(struct admin *a);
int	cmd_why(struct admin *a);
int	cmd_queue_show(struct admin *a);
int	cmd_queue_cat(struct admin *a);
int	cmd_queue_verify(struct admin *a);
int	cmd_selftest_sandbox(struct admin *a);
int	cmd_selftest_spool(struct admin *a);
int	cmd_selftest_tls(struct admin *a);
int	cmd_account_clientconfig(struct admin *a);
int	cmd_domain_add(struct admin *a);
int	cmd_domain_list(struct admin *a);
int	cmd_domain_show(struct admin *a);
int	cmd_domain_remove(struct admin *a);
int	cmd_domain_dns(struct admin *a);
int	cmd_domain_check(struct admin *a);
int	cmd_dkim_add(struct admin *a);
int	cmd_dkim_list(struct admin *a);
int	cmd_dkim_show(struct admin *a);
int	cmd_dkim_check(struct admin *a);
int	cmd_dkim_activate(struct admin *a);
int	cmd_dkim_retire(struct admin *a);
int	cmd_dkim_remove(struct admin *a);
int	cmd_completion_bash(struct admin *a);
int	cmd_completion_zsh(struct admin *a);
int	cmd_completion_fish(struct admin *a);
/* What the program does when it is called by the name mailq. */
int	cmd_mailq(struct admin *a);

#endif
