/*
 * The one table of commands and the one of options, and the help that is printed from them. Runs in smtpadm with
 * the rights of the admin who called it; const but for what it prints.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "out.h"
#include "str.h"

const struct option command_options[OPT_COUNT] = {
	[OPT_ROOT] = { "root", 0, "DIR", false,
	    "the instance in this folder; default: the system's places, or $POSTERN_ROOT" },
	[OPT_JSON] = { "json", 'j', NULL, false, "one JSON object a line" },
	[OPT_QUIET] = { "quiet", 'q', NULL, false, "no messages but errors" },
	[OPT_VERBOSE] = { "verbose", 'v', NULL, false, "tables with whole values, whatever their width" },
	[OPT_DRY_RUN] = { "dry-run", 'n', NULL, false, "say what would be done, and change nothing" },
	[OPT_YES] = { "yes", 'y', NULL, false, "do not ask" },
	[OPT_COLOR] = { "color", 0, "auto|always|never", false, "headings in bold" },
	[OPT_TIME] = { "time", 0, "utc|local|rel", false, "how times are shown in tables" },
	[OPT_HELP] = { "help", 'h', NULL, false, "this help; with a noun or a command, its help" },
	[OPT_VERSION] = { "version", 0, NULL, false, "the version" },
	[OPT_HOSTNAME] = { "hostname", 0, "NAME", false, "the name that the service gives itself" },
	[OPT_ACCOUNT] = { "account", 0, "ACCOUNT", true, "this account" },
	[OPT_CERT] = { "cert", 0, "FILE", false, "certificate and chain, PEM; copied into the instance" },
	[OPT_KEY] = { "key", 0, "FILE", false, "its private key, PEM, not encrypted; copied into the instance" },
	[OPT_SELF_SIGNED] = { "self-signed", 0, NULL, false, "make a certificate of its own, unless there is one" },
	[OPT_LISTEN] = { "listen", 0, "KIND=ADDR:PORT", true, "submission, submissions or plain; may be repeated" },
	[OPT_PASSWORD_STDIN] = { "password-stdin", 0, NULL, false,
	    "the account's password is the first line of standard input" },
	[OPT_STDIN] = { "stdin", 0, NULL, false, "the password is the first line of standard input" },
	[OPT_GENERATE] = { "generate", 0, NULL, false, "make a password and print it once" },
	[OPT_HASH_STDIN] = { "hash-stdin", 0, NULL, false, "a crypt(5) hash is the first line of standard input" },
	[OPT_CHANGED] = { "changed", 0, NULL, false, "only settings that differ from their default" },
	[OPT_ID] = { "id", 0, "GLOB", true, "queue id" },
	[OPT_FROM] = { "from", 0, "GLOB", true, "envelope sender; <> is the empty one" },
	[OPT_TO] = { "to", 0, "GLOB", true, "a recipient" },
	[OPT_DOMAIN] = { "domain", 0, "GLOB", true, "domain of a recipient" },
	[OPT_STATE] = { "state", 0, "STATE", true, "active, deferred, held or failed" },
	[OPT_OLDER] = { "older", 0, "TIME", false, "arrived longer ago than 30s, 5m, 2h, 4d" },
	[OPT_NEWER] = { "newer", 0, "TIME", false, "arrived since" },
	[OPT_SIZE] = { "size", 0, "+N|-N", true, "larger or smaller than N octets; K, M, G" },
	[OPT_LIMIT] = { "limit", 0, "N", false, "the first N only" },
	[OPT_SORT] = { "sort", 0, "age|next|size|account", false, "order; default: age, the oldest first" },
	[OPT_ALL] = { "all", 0, NULL, false, "every message" },
	[OPT_HEADERS] = { "headers", 0, NULL, false, "the header of the message" },
	[OPT_BODY] = { "body", 0, NULL, false, "the body of the message" },
	[OPT_ENVELOPE] = { "envelope", 0, NULL, false, "the envelope" },
	[OPT_FOR] = { "for", 0, "TIME", false, "how long, such as 2h or 7d; default: for ever" },
	[OPT_PEER] = { "peer", 0, "NET", true, "clients of this address or network" },
	[OPT_REASON] = { "reason", 0, "TEXT", false, "why, for the log" },
	[OPT_NAME] = { "name", 0, "NAME", false, "of the credential, such as phone" },
	[OPT_EXPIRES] = { "expires", 0, "TIME", false, "it ends after 12h, 90d; never: not at all" },
	[OPT_DEVICE] = { "device", 0, NULL, false, "for an old printer or scanner: bare LF in its messages becomes CRLF" },
};

#define PASSWORD_OPTIONS (OPT(STDIN) | OPT(GENERATE) | OPT(HASH_STDIN))
#define SETUP_OPTIONS \
	(OPT(HOSTNAME) | OPT(ACCOUNT) | OPT(CERT) | OPT(KEY) | OPT(SELF_SIGNED) | OPT(LISTEN) | OPT(PASSWORD_STDIN))
#define MANY ADMIN_WORDS_MAX

static const struct command commands[] = {
	{ "setup", NULL, cmd_setup, 0, 0, SETUP_OPTIONS, "", "Prepares an instance; safe to run again." },
	{ "status", NULL, cmd_status, 0, 0, 0, "",
	    "Whether the service runs, where it listens, accounts and queue. 1 when it does not run." },
	{ "reload", NULL, cmd_reload, 0, 0, 0, "",
	    "Puts the configuration in force for new sessions, or says why not." },
	{ "pause", "submission", cmd_pause_submission, 0, 0, OPT(REASON), "",
	    "Answers new sessions with 421 until resume, or until the service ends; running ones go on." },
	{ "resume", "submission", cmd_resume_submission, 0, 0, 0, "", "The opposite of pause." },
	{ "drain", NULL, cmd_drain, 0, 0, 0, "", "Accepts no session any more; the service ends with the last one." },
	{ "session", "list", cmd_session_list, 0, 0, OPT(ACCOUNT) | OPT(PEER), "",
	    "Who is connected. 1 when a filter matches none." },
	{ "session", "kill", cmd_session_kill, 0, 1, OPT(ACCOUNT), "[SESSION]",
	    "Ends a session, or all of an account: 421, and after 5 seconds by force." },
	{ "metrics", NULL, cmd_metrics, 0, 0, 0, "", "The service's counters for Prometheus." },
	{ "account", "add", cmd_account_add, 1, 1, PASSWORD_OPTIONS, "ACCOUNT",
	    "Adds an account, which may send as its own address." },
	{ "account", "list", cmd_account_list, 0, 0, 0, "", "All accounts." },
	{ "account", "show", cmd_account_show, 1, 1, 0, "ACCOUNT",
	    "One account with its senders and credentials." },
	{ "account", "remove", cmd_account_remove, 1, MANY, 0, "ACCOUNT...",
	    "Removes accounts with their senders and credentials." },
	{ "account", "disable", cmd_account_disable, 1, 1, 0, "ACCOUNT",
	    "Refuses the account's logins and commands from now on." },
	{ "account", "enable", cmd_account_enable, 1, 1, 0, "ACCOUNT", "The opposite of disable." },
	{ "account", "passwd", cmd_account_passwd, 1, 1, PASSWORD_OPTIONS, "ACCOUNT",
	    "Gives the account a new password." },
	{ "account", "rename", cmd_account_rename, 2, 2, 0, "ACCOUNT NAME",
	    "Gives an account another name; passwords, senders and running sessions stay." },
	{ "account", "limit", cmd_account_limit, 1, 4, 0, "ACCOUNT [sessions=N] [recipients=N] [message_size=N]",
	    "Limits of one account; 'default' takes one back. Without a limit it shows them." },
	{ "account", "import", cmd_account_import, 1, 1, OPT(FROM) | OPT(DOMAIN), "FILE",
	    "Adds all the accounts of a file, or none; - is standard input. --from passwd, dovecot or csv (the default)." },
	{ "account", "export", cmd_account_export, 0, 0, 0, "",
	    "All accounts with hashes, senders and limits, as CSV that import reads." },
	{ "account", "usage", cmd_account_usage, 1, 1, 0, "ACCOUNT", "What the account has in the queue: messages and octets." },
	{ "account", "logins", cmd_account_logins, 1, 1, 0, "ACCOUNT",
	    "When (to the hour) and from where each password of the account was used last." },
	{ "account", "test", cmd_account_test, 1, 1, OPT(STDIN), "ACCOUNT",
	    "Whether a password, which is asked for or read, would be accepted. 1 when not." },
	{ "credential", "add", cmd_credential_add, 1, 1, PASSWORD_OPTIONS | OPT(NAME) | OPT(EXPIRES) | OPT(DEVICE), "ACCOUNT --name NAME",
	    "Gives an account one more password, for one program or device; made and printed once unless read." },
	{ "credential", "list", cmd_credential_list, 1, 1, 0, "ACCOUNT",
	    "The passwords of an account, and when and from where each was used last." },
	{ "credential", "show", cmd_credential_show, 1, 1, OPT(NAME), "ACCOUNT --name NAME",
	    "What is known of one password; never itself." },
	{ "credential", "revoke", cmd_credential_revoke, 1, 1, OPT(NAME), "ACCOUNT --name NAME",
	    "Takes a password away; sessions that logged in with it may do no more." },
	{ "credential", "rotate", cmd_credential_rotate, 1, 1, PASSWORD_OPTIONS | OPT(NAME) | OPT(EXPIRES),
	    "ACCOUNT --name NAME", "Replaces a password by a new one." },
	{ "ban", "list", cmd_ban_list, 0, 0, 0, "", "Networks that are refused, and those that never are." },
	{ "ban", "add", cmd_ban_add, 1, MANY, OPT(FOR) | OPT(REASON), "NETWORK...",
	    "Refuses connections and logins from networks, such as 192.0.2.0/24, from now on." },
	{ "ban", "allow", cmd_ban_allow, 1, MANY, OPT(FOR) | OPT(REASON), "NETWORK...",
	    "Spares networks from every ban and from the throttle of logins." },
	{ "ban", "remove", cmd_ban_remove, 1, MANY, 0, "NETWORK...", "Takes networks off the list." },
	{ "account", "clientconfig", cmd_account_clientconfig, 1, 1, OPT(FOR), "ACCOUNT",
	    "What to enter in mail programs, or the file that one reads; never a password." },
	{ "sender", "add", cmd_sender_add, 2, MANY, 0, "ACCOUNT PATTERN...",
	    "Lets an account send as user@domain, *@domain, user+*@domain or <>." },
	{ "sender", "list", cmd_sender_list, 0, 1, 0, "[ACCOUNT]", "The senders of one account, or of all." },
	{ "sender", "remove", cmd_sender_remove, 2, MANY, 0, "ACCOUNT PATTERN...",
	    "Takes senders from an account." },
	{ "sender", "who", cmd_sender_who, 1, 1, 0, "ADDRESS", "Which accounts may send as this address. 1 when none may." },
	{ "sender", "check", cmd_sender_check, 2, 2, 0, "ACCOUNT ADDRESS",
	    "Whether an account may send as this address, and by which pattern. 1 when not." },
	{ "config", "show", cmd_config_show, 0, 0, OPT(CHANGED), "", "All settings and their values." },
	{ "config", "get", cmd_config_get, 1, 1, 0, "KEY", "The value of a setting." },
	{ "config", "set", cmd_config_set, 2, 2, 0, "KEY VALUE",
	    "Changes a setting in the file; comments stay as they are." },
	{ "config", "explain", cmd_config_explain, 0, 1, 0, "[KEY]",
	    "What a setting is for, its default and its bounds." },
	{ "config", "check", cmd_config_check, 0, 0, 0, "",
	    "Checks the file, certificate and key, modes and folders. 78 when something is wrong." },
	{ "tls", "show", cmd_tls_show, 0, 0, 0, "", "The certificates: their names, issuer, key and days left." },
	{ "tls", "check", cmd_tls_check, 0, 0, 0, "",
	    "Checks pairs, chains, names and modes. 1 when clients will not like one, or less than 21 days are left." },
	{ "tls", "reload", cmd_tls_reload, 0, 1, OPT(CERT) | OPT(KEY), "[NAME]",
	    "Puts renewed certificates in force; with --cert and --key copies a pair into place before." },
	{ "queue", "list", cmd_queue_list, 0, 0, OPTIONS_FILTER | OPT(LIMIT) | OPT(SORT), "FILTER...",
	    "The messages that match. 1 when a filter matches none." },
	{ "queue", "count", cmd_queue_count, 0, 0, OPTIONS_FILTER, "FILTER...", "How many messages match." },
	{ "queue", "summary", cmd_queue_summary, 0, 0, OPTIONS_FILTER, "FILTER...",
	    "Messages and octets by state, account and recipients' domain." },
	{ "queue", "remove", cmd_queue_remove, 0, MANY, OPTIONS_FILTER, "[ID...] FILTER...",
	    "Removes messages for good. Asks; without a terminal, more than one needs --yes." },
	{ "queue", "show", cmd_queue_show, 1, 1, 0, "ID", "What is known of a message." },
	{ "queue", "cat", cmd_queue_cat, 1, 1, OPT(HEADERS) | OPT(BODY) | OPT(ENVELOPE), "ID",
	    "A message as it stands in the spool: envelope, header and body, or the parts asked for." },
	{ "queue", "verify", cmd_queue_verify, 0, 0, OPTIONS_FILTER, "FILTER...",
	    "Reads messages whole and compares size and digest. 65 when one is corrupt." },
	{ "selftest", "sandbox", cmd_selftest_sandbox, 0, 0, 0, "",
	    "Proves each part of each program's sandbox, and looks at the running ones. 1 when a part is absent." },
	{ "selftest", "spool", cmd_selftest_spool, 0, 0, 0, "",
	    "Writes, syncs, renames and removes a probe in the spool; free space and lock. 1 on a fault." },
	{ "selftest", "tls", cmd_selftest_tls, 0, 0, 0, "",
	    "Lets each certificate do a TLS 1.2 and a TLS 1.3 handshake with itself, in memory. 1 on a fault." },
	{ "completion", "bash", cmd_completion_bash, 0, 0, 0, "", "A script for bash that completes these commands." },
	{ "completion", "zsh", cmd_completion_zsh, 0, 0, 0, "", "The same for zsh." },
	{ "completion", "fish", cmd_completion_fish, 0, 0, 0, "", "The same for fish." },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	const char *word, *meaning, *noun;	/* of the one noun where it means this, before the general ones; NULL: any */
} synonyms[] = {
	{ "rm", "revoke", "credential" }, { "del", "revoke", "credential" }, { "delete", "revoke", "credential" },
	{ "drop", "revoke", "credential" }, { "remove", "revoke", "credential" },
	{ "ls", "list", NULL }, { "rm", "remove", NULL }, { "del", "remove", NULL }, { "delete", "remove", NULL },
	{ "drop", "remove", NULL }, { "create", "add", NULL }, { "new", "add", NULL }, { "user", "account", NULL },
	{ "creds", "credential", NULL }, { "app-password", "credential", NULL },
};

const struct command *
command_row(size_t i)
{
	return i < NCOMMANDS ? &commands[i] : NULL;
}

/* A verb's meaning depends on its noun; noun is NULL for a noun itself. */
static const char *
meaning_of(const char *word, const char *noun)
{
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		if (strcmp(word, synonyms[i].word) == 0 && (synonyms[i].noun == NULL ||
		    (noun != NULL && strcmp(noun, synonyms[i].noun) == 0)))
			return synonyms[i].meaning;
	return word;
}

/* What other mail servers' queues do, and this one not before it delivers. */
static bool
is_of_delivery(const char *noun, const char *word)
{
	static const char *const verbs[] = { "hold", "freeze", "suspend", "release", "unhold", "thaw", "resume", "retry",
	    "flush", "run", "bounce", "fail", "reroute" };

	for (size_t i = 0; strcmp(noun, "queue") == 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(word, verbs[i]) == 0)
			return true;
	return false;
}

static const struct command *
unknown_noun(const char *word)
{
	const char *names[NCOMMANDS], *nearest;

	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i].noun;
	nearest = str_nearest(word, names, NCOMMANDS);
	out_fix("smtpadm --help");
	if (nearest != NULL)
		out_fail(EX_USAGE, "unknown_command", "unknown command '%s', did you mean '%s'?", word, nearest);
	else
		out_fail(EX_USAGE, "unknown_command", "unknown command '%s'", word);
	return NULL;
}

static const struct command *
unknown_verb(const char *noun, const char *word)
{
	const char *names[NCOMMANDS], *nearest;
	char list[256] = "";
	size_t n = 0, used = 0;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].noun, noun) != 0)
			continue;
		names[n++] = commands[i].verb;
		used +=
		    (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used != 0 ? ", " : "", commands[i].verb);
	}
	out_fix("smtpadm %s --help", noun);
	if (word == NULL)
		out_fail(EX_USAGE, "usage", "'%s' needs a verb: %s", noun, list);
	else if (is_of_delivery(noun, word))
		out_fail(EX_USAGE, "not_yet", "'queue %s': holding, retrying and bouncing come with delivery, which this version "
		    "does not do", word);
	else if ((nearest = str_nearest(word, names, n)) != NULL)
		out_fail(
		    EX_USAGE, "unknown_command", "unknown verb '%s' of '%s', did you mean '%s'?", word, noun, nearest);
	else
		out_fail(EX_USAGE, "unknown_command", "unknown verb '%s' of '%s': use %s", word, noun, list);
	return NULL;
}

const struct command *
command_find(const char *const *words, size_t nwords, size_t *used)
{
	const char *noun = meaning_of(words[0], NULL), *verb = nwords > 1 ? meaning_of(words[1], noun) : NULL;
	bool known = false;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].noun, noun) != 0)
			continue;
		known = true;
		*used = commands[i].verb != NULL ? 2 : 1;
		if (commands[i].verb == NULL || (verb != NULL && strcmp(commands[i].verb, verb) == 0))
			return &commands[i];
	}
	return known ? unknown_verb(noun, nwords > 1 ? words[1] : NULL) : unknown_noun(words[0]);
}

/* A text behind a left part, wrapped at 80 columns. */
static void
print_entry(const char *left, int indent, const char *text)
{
	int column = (int)strlen(left);

	printf("%s", left);
	if (column >= indent) {
		printf("\n");
		column = 0;
	}
	printf("%*s", indent - column, "");
	column = indent;
	while (*text != 0) {
		int n = (int)strcspn(text, " ");

		if (column > indent && column + 1 + n > 80) {
			printf("\n%*s", indent, "");
			column = indent;
		}
		column += printf("%s%.*s", column > indent ? " " : "", n, text);
		text += n + (text[n] != 0);
	}
	printf("\n");
}

/* Where an option of one noun is not what it is elsewhere. */
static const struct {
	const char	*noun;
	enum option_id	 id;
	struct option	 option;
} special[] = {
	{ "account", OPT_FOR, { "for", 0, "thunderbird|ios|msmtp|postfix|printer|autoconfig", false, "for this program only" } },
	{ "account", OPT_FROM, { "from", 0, "passwd|dovecot|csv", false, "the kind of file; default: csv" } },
	{ "account", OPT_DOMAIN, { "domain", 0, "DOMAIN", false, "put behind names that have none" } },
	{ "setup", OPT_ACCOUNT, { "account", 0, "ACCOUNT", false, "an account to begin with" } },
	{ "session", OPT_ACCOUNT, { "account", 0, "ACCOUNT", true, "sessions of this account" } },
	{ "queue", OPT_ACCOUNT, { "account", 0, "GLOB", true, "messages of this account" } },
};

const struct option *
command_option(const char *noun, enum option_id id)
{
	noun = meaning_of(noun, NULL);
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].id == id && strcmp(special[i].noun, noun) == 0)
			return &special[i].option;
	return &command_options[id];
}

static void
print_options(uint64_t mask, const char *noun)
{
	for (size_t i = 0; i < OPT_COUNT; i++) {
		const struct option *o = command_option(noun, (enum option_id)i);
		char left[128], letter[8] = "    ";

		if ((mask & (1ULL << i)) == 0)
			continue;
		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		print_entry(left, 30, o->help);
	}
}

static void
print_command(const struct command *c)
{
	printf("  smtpadm %s%s%s%s%s%s\n", c->noun, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
	    c->options != 0 ? " [OPTION...]" : "", c->arguments[0] != 0 ? " " : "", c->arguments);
	print_entry("", 6, c->help);
}

static int
help_on(const char *noun, const char *verb)
{
	uint64_t mask = 0;

	printf("Usage:\n");
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->noun, noun) != 0 || (verb != NULL && c->verb != NULL && strcmp(c->verb, verb) != 0))
			continue;
		print_command(c);
		mask |= c->options;
	}
	if (mask != 0)
		printf("Options:\n");
	print_options(mask, noun);
	if (strcmp(noun, "queue") == 0 && (mask & OPTIONS_FILTER) != 0)
		printf("Filters add up; the same one repeated means either. Some filter, or --all, is needed.\n");
	printf("Global options: smtpadm --help. The manual: smtpadm(8).\n");
	return EX_OK;
}

int
command_help(const char *const *words, size_t nwords)
{
	const struct command *c;
	size_t used;

	if (nwords > 0) {
		for (size_t i = 0; i < NCOMMANDS; i++)
			if (nwords == 1 && strcmp(commands[i].noun, meaning_of(words[0], NULL)) == 0)
				return help_on(commands[i].noun, NULL);
		if ((c = command_find(words, nwords, &used)) == NULL)
			return EX_USAGE;
		return help_on(c->noun, c->verb);
	}
	printf("smtpadm: sets up and looks after a Postern mail submission service.\n\n"
	    "Usage: smtpadm [OPTION...] NOUN VERB [ARGUMENT...]\n\nCommands:\n");
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *d = &commands[i];
		char left[128];

		snprintf(left, sizeof(left), "  %s%s%s %s", d->noun, d->verb != NULL ? " " : "",
		    d->verb != NULL ? d->verb : "", d->arguments);
		print_entry(left, 36, d->help);
	}
	printf("\nGlobal options, before or behind the command:\n");
	print_options(OPTIONS_GLOBAL, "");
	printf("\nOne command's options: smtpadm NOUN VERB --help. The manual: smtpadm(8).\n");
	return EX_OK;
}
