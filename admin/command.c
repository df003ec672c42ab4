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
	[OPT_SENDER] = { "sender", 0, "PATTERN", true, "only as these of the account's senders" },
	[OPT_RCPT] = { "rcpt", 0, "PATTERN", true, "only to these recipients: user@domain, *@domain, user+*@domain" },
	[OPT_NET] = { "net", 0, "NETWORK", true, "only from these networks, such as 192.0.2.0/24" },
	[OPT_CANARY] = { "canary", 0, NULL, false,
	    "a password to be found: it is refused as a wrong one, with an alarm in the log" },
	[OPT_LOCAL_USER] = { "local-user", 0, "USER", false, "no password: programs of this system's user submit with it" },
	[OPT_MAIL] = { "mail", 0, "release|drop", false,
	    "what becomes of the messages that are held; default: they stay held" },
	[OPT_CREDENTIAL] = { "credential", 0, "GLOB", true, "the app password that the message came with" },
	[OPT_ROUTE] = { "route", 0, "GLOB", true, "the route that a recipient's mail takes" },
	[OPT_TO_ROUTE] = { "to-route", 0, "ROUTE", false, "the route to take from now on; auto: as the rules say" },
	[OPT_MESSAGE_ID] = { "message-id", 0, "ID", false, "the Message-ID of the message" },
	[OPT_SINCE] = { "since", 0, "TIME|DATE", false, "not older than 2h, 7d, or 2026-11-22; default: all that is kept" },
	[OPT_FOLLOW] = { "follow", 0, NULL, false, "goes on with what happens from now on" },
	[OPT_ALGORITHM] = { "algorithm", 0, "rsa|ed25519|both", false, "of the key; default: both, which makes two" },
	[OPT_SELECTOR] = { "selector", 0, "NAME", false, "of the key in DNS; default: made of the month and the algorithm" },
	[OPT_ACTIVATE] = { "activate", 0, NULL, false, "sign with the new key at once, and retire the one before" },
	[OPT_NO_ACTIVATE] = { "no-activate", 0, NULL, false, "do not sign with the new key yet" },
	[OPT_TO_DOMAIN] = { "to-domain", 0, "DOMAIN", true, "mail to this domain; *.example.org: to all below" },
	[OPT_FROM_DOMAIN] = { "from-domain", 0, "DOMAIN", true, "mail of senders in this domain" },
	[OPT_TLS] = { "tls", 0, "none|opportunistic|required|verified", false, "how the connection is to be protected" },
	[OPT_USER] = { "user", 0, "NAME", false, "to log in with; the password is asked for, or read with --stdin" },
	[OPT_CA] = { "ca", 0, "FILE", false, "certificates to verify by, instead of the system's" },
	[OPT_NO_START] = { "no-start", 0, NULL, false, "do all but start the service" },
};

#define PASSWORD_OPTIONS (OPT(STDIN) | OPT(GENERATE) | OPT(HASH_STDIN))
#define SETUP_OPTIONS \
	(OPT(HOSTNAME) | OPT(ACCOUNT) | OPT(CERT) | OPT(KEY) | OPT(SELF_SIGNED) | OPT(LISTEN) | OPT(PASSWORD_STDIN) | \
	    OPT(ROUTE) | OPT(DOMAIN) | OPT(NO_START))
#define SCOPE_OPTIONS (OPT(SENDER) | OPT(RCPT) | OPT(NET) | OPT(LIMIT))
#define MANY ADMIN_WORDS_MAX

static const struct command commands[] = {
	{ "setup", NULL, cmd_setup, 0, 0, SETUP_OPTIONS, "", "Prepares an instance, starts the service (not with --root) and tries it; safe to run again." },
	{ "status", NULL, cmd_status, 0, 0, 0, "",
	    "Whether the service runs, where it listens, accounts and queue. 1 when it does not run." },
	{ "reload", NULL, cmd_reload, 0, 0, 0, "",
	    "Puts the configuration in force for new sessions, or says why not." },
	{ "pause", "submission", cmd_pause_submission, 0, 0, OPT(REASON), "",
	    "Answers new sessions with 421 until resume, or until the service ends; running ones go on." },
	{ "pause", "delivery", cmd_pause_delivery, 0, 0, OPT(REASON), "",
	    "Gives out no delivery until resume, or until the service ends; those under way are finished." },
	{ "resume", "submission", cmd_resume_submission, 0, 0, 0, "", "The opposite of pause." },
	{ "resume", "delivery", cmd_resume_delivery, 0, 0, 0, "", "The opposite of pause." },
	{ "drain", NULL, cmd_drain, 0, 0, 0, "", "Accepts no session any more; the service ends with the last one." },
	{ "session", "list", cmd_session_list, 0, 0, OPT(ACCOUNT) | OPT(PEER), "",
	    "Who is connected. 1 when a filter matches none." },
	{ "session", "kill", cmd_session_kill, 0, 1, OPT(ACCOUNT), "[SESSION]",
	    "Ends a session, or all of an account: 421, and after 5 seconds by force." },
	{ "trace", NULL, cmd_trace, 0, 1, OPT(MESSAGE_ID) | OPT(TO) | OPT(ACCOUNT) | OPT(SINCE) | OPT(FOLLOW) | OPT(LIMIT),
	    "[ID]", "All that happened to a message, from its session's first line to the last reply. 1 when there is none." },
	{ "why", NULL, cmd_why, 1, 1, 0, "ID", "Where a message is and why, in a sentence, and what would help." },
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
	{ "account", "limit", cmd_account_limit, 1, 5, 0, "ACCOUNT [LIMIT=N...]",
	    "Limits of one account: sessions, recipients, message_size, messages_per_hour; 'default' takes one back. "
	    "Without one it shows them." },
	{ "account", "import", cmd_account_import, 1, 1, OPT(FROM) | OPT(DOMAIN), "FILE",
	    "Adds all the accounts of a file, or none; - is standard input. --from passwd, dovecot or csv (the default)." },
	{ "account", "export", cmd_account_export, 0, 0, 0, "",
	    "All accounts with hashes, senders and limits, as CSV that import reads." },
	{ "account", "usage", cmd_account_usage, 1, 1, 0, "ACCOUNT", "What the account has in the queue: messages and octets." },
	{ "account", "logins", cmd_account_logins, 1, 1, 0, "ACCOUNT",
	    "When (to the hour) and from where each password of the account was used last." },
	{ "account", "test", cmd_account_test, 1, 1, OPT(STDIN), "ACCOUNT",
	    "Whether a password, which is asked for or read, would be accepted. 1 when not." },
	{ "account", "contain", cmd_account_contain, 1, 1, OPT(REASON), "ACCOUNT --reason TEXT",
	    "For an account in wrong hands: no login, its sessions end, its waiting messages are held." },
	{ "account", "restore", cmd_account_restore, 1, 1, OPT(MAIL), "ACCOUNT",
	    "The opposite of contain. Its messages stay held without --mail release or --mail drop." },
	{ "credential", "add", cmd_credential_add, 1, 1, PASSWORD_OPTIONS | OPT(NAME) | OPT(EXPIRES) | OPT(DEVICE) | SCOPE_OPTIONS |
	    OPT(CANARY) | OPT(LOCAL_USER), "ACCOUNT --name NAME",
	    "Gives an account one more password, for one program or device; made and printed once unless read." },
	{ "credential", "change", cmd_credential_change, 1, 1, OPT(NAME) | OPT(EXPIRES) | SCOPE_OPTIONS, "ACCOUNT --name NAME",
	    "Narrows a credential anew: patterns replace those of their kind, 'any' takes them away. The password stays." },
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
	    "Refuses connections and logins from networks, such as 192.0.2.0/24, within a second." },
	{ "ban", "allow", cmd_ban_allow, 1, MANY, OPT(FOR) | OPT(REASON), "NETWORK...",
	    "Spares networks from every ban and from the throttle of logins, within a second." },
	{ "ban", "remove", cmd_ban_remove, 1, MANY, 0, "NETWORK...", "Takes networks off the list, within a second." },
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
	{ "domain", "add", cmd_domain_add, 1, 1, 0, "DOMAIN",
	    "Notes a domain that mail is sent from, and prints the DNS records that it needs." },
	{ "domain", "list", cmd_domain_list, 0, 0, 0, "", "The domains that mail is sent from." },
	{ "domain", "show", cmd_domain_show, 1, 1, 0, "DOMAIN", "One of them, with the DNS records that it needs." },
	{ "domain", "remove", cmd_domain_remove, 1, 1, 0, "DOMAIN", "Forgets a domain; its DKIM keys stay." },
	{ "domain", "dns", cmd_domain_dns, 1, 1, 0, "DOMAIN",
	    "The DNS records that a domain needs, for a zone file: SPF, DKIM, DMARC, MX." },
	{ "domain", "check", cmd_domain_check, 0, MANY, 0, "[DOMAIN...]",
	    "Whether DNS has them; without a domain, for all. 1 when something is missing or different, 68 without an answer." },
	{ "dkim", "add", cmd_dkim_add, 1, 1, OPT(ALGORITHM) | OPT(SELECTOR) | OPT(ACTIVATE) | OPT(NO_ACTIVATE), "DOMAIN",
	    "Makes keys to sign a domain's mail with and prints their DNS records. The first one signs at once." },
	{ "dkim", "list", cmd_dkim_list, 0, 1, 0, "[DOMAIN]", "The keys that mail is signed with. 1 when the domain has none." },
	{ "dkim", "show", cmd_dkim_show, 1, 2, 0, "DOMAIN [SELECTOR]", "The DNS records of a domain's keys." },
	{ "dkim", "check", cmd_dkim_check, 1, 1, 0, "DOMAIN",
	    "Whether DNS has the keys' records. 1 when one is missing or different, 68 without an answer." },
	{ "dkim", "activate", cmd_dkim_activate, 2, 2, 0, "DOMAIN SELECTOR",
	    "Signs with this key from now on, and retires the one before." },
	{ "dkim", "retire", cmd_dkim_retire, 2, 2, 0, "DOMAIN SELECTOR",
	    "Stops signing with a key, and says when its DNS record may go." },
	{ "dkim", "remove", cmd_dkim_remove, 2, 2, 0, "DOMAIN SELECTOR", "Removes a key that does not sign, for good." },
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
	{ "route", "add", cmd_route_add, 2, 2, OPT(TO_DOMAIN) | OPT(FROM_DOMAIN) | OPT(ACCOUNT) | OPT(TLS) | OPT(USER) | OPT(CA) |
	    OPT(STDIN) | OPT(PASSWORD_STDIN), "NAME URL",
	    "A way for accepted mail: smtp://HOST:PORT, smtps://HOST, lmtp://HOST:PORT, lmtp:/PATH, mx: or discard:." },
	{ "route", "list", cmd_route_list, 0, 0, 0, "", "The routes, and which mail takes each." },
	{ "route", "show", cmd_route_show, 1, 1, 0, "NAME", "One route; never its password." },
	{ "route", "remove", cmd_route_remove, 1, 1, 0, "NAME", "Takes a route away, with the file of its password." },
	{ "route", "test", cmd_route_test, 1, 1, OPT(TO) | OPT(FROM), "NAME",
	    "Connects, encrypts, logs in and ends, sending no mail. 68 when that fails; 1 when --to is refused." },
	{ "queue", "list", cmd_queue_list, 0, 0, OPTIONS_FILTER, "FILTER...",
	    "The messages that match. 1 when a filter matches none." },
	{ "queue", "count", cmd_queue_count, 0, 0, OPTIONS_FILTER, "FILTER...", "How many messages match." },
	{ "queue", "summary", cmd_queue_summary, 0, 0, OPTIONS_FILTER, "FILTER...",
	    "Messages and octets by state, account, recipients' domain, route and reason." },
	{ "queue", "remove", cmd_queue_remove, 0, MANY, OPTIONS_FILTER, "[ID...] FILTER...",
	    "Removes messages for good. Asks; without a terminal, more than one needs --yes." },
	{ "queue", "hold", cmd_queue_hold, 0, MANY, OPTIONS_FILTER, "[ID...] --reason TEXT FILTER...",
	    "Keeps messages from being delivered until release. --reason is why, and no filter here." },
	{ "queue", "release", cmd_queue_release, 0, MANY, OPTIONS_FILTER, "[ID...] FILTER...",
	    "Lets held messages go on, and tries those once more that were set aside." },
	{ "queue", "retry", cmd_queue_retry, 0, MANY, OPTIONS_FILTER, "[ID...] FILTER...",
	    "Tries messages now, whatever the schedule says." },
	{ "queue", "bounce", cmd_queue_bounce, 0, MANY, OPTIONS_FILTER, "[ID...] FILTER...",
	    "Gives messages up and returns them to their senders. Asks; without a terminal, more than one needs --yes." },
	{ "queue", "reroute", cmd_queue_reroute, 0, MANY, OPTIONS_FILTER | OPT(TO_ROUTE), "[ID...] --to-route ROUTE FILTER...",
	    "Sends messages by another route than the rules say." },
	{ "queue", "export", cmd_queue_export, 1, 1, OPTIONS_FILTER, "FILE|DIR/ FILTER...",
	    "Copies messages into an mbox file, or into a folder with a file each." },
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
	{ "unhold", "release", "queue" }, { "thaw", "release", "queue" }, { "resume", "release", "queue" },
	{ "freeze", "hold", "queue" }, { "suspend", "hold", "queue" }, { "flush", "retry", "queue" }, { "run", "retry", "queue" },
	{ "fail", "bounce", "queue" },
	{ "creds", "credential", NULL }, { "app-password", "credential", NULL },
};

/* What admins look for that other commands answer. */
static const struct {
	const char *word, *fix;
} elsewhere[] = {
	{ "explain", "smtpadm sender check ACCOUNT ADDRESS, smtpadm why ID, smtpadm route test NAME --to ADDRESS" },
	{ "policy", "smtpadm config show, smtpadm account limit ACCOUNT, smtpadm credential show ACCOUNT --name NAME" },
	{ "doctor", "smtpadm config check, smtpadm tls check, smtpadm domain check, smtpadm selftest spool" },
	{ "top", "smtpadm session list, smtpadm queue summary --all" }, { "stats", "smtpadm metrics, smtpadm queue summary --all" },
	{ "report", "smtpadm queue summary --all, smtpadm metrics" },
	{ "log", "smtpadm trace --account ACCOUNT, or journalctl -u postern" },
	{ "history", "smtpadm trace --account ACCOUNT for mail; changes of accounts can't be listed" },
	{ "undo", "the opposite command; smtpadm account export before a change keeps what there is" },
	{ "backup", "smtpadm account export for people, a copy of the folders for the rest" },
	{ "restore", "smtpadm account import FILE, or smtpadm account restore ACCOUNT for one that is contained" },
	{ "forward", "smtpadm route add NAME URL: mail is carried on, and forwarded by the server of the mailboxes" },
	{ "group", "smtpadm sender add ACCOUNT PATTERN: a shared address may be several accounts'" },
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

static const struct command *
unknown_noun(const char *word)
{
	const char *names[NCOMMANDS], *nearest;

	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i].noun;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(word, elsewhere[i].word) != 0)
			continue;
		out_fix("%s", elsewhere[i].fix);
		out_fail(EX_USAGE, "unknown_command", "there is no command '%s'", word);
		return NULL;
	}
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
	{ "credential", OPT_LIMIT, { "limit", 0, "NAME=N", true,
	    "recipients, message_size or messages_per_hour; default takes it back" } },
	{ "route", OPT_ACCOUNT, { "account", 0, "ACCOUNT", true, "mail of this account" } },
	{ "route", OPT_TO, { "to", 0, "ADDRESS", false, "ask whether this recipient would be taken" } },
	{ "route", OPT_FROM, { "from", 0, "ADDRESS", false, "as this sender; default: the user of the route, if it is an address" } },
	{ "route", OPT_PASSWORD_STDIN, { "password-stdin", 0, NULL, false, "the same as --stdin" } },
	{ "setup", OPT_ROUTE, { "route", 0, "URL", false, "where accepted mail goes on to, as for route add" } },
	{ "setup", OPT_DOMAIN, { "domain", 0, "DOMAIN", true, "mail is sent from it: makes its DKIM keys, prints its DNS records" } },
	{ "setup", OPT_ACCOUNT, { "account", 0, "ACCOUNT", false, "an account to begin with" } },
	{ "session", OPT_ACCOUNT, { "account", 0, "ACCOUNT", true, "sessions of this account" } },
	{ "queue", OPT_REASON, { "reason", 0, "TEXT", true, "why it waits, or a part of that; 'queue hold': the reason to note" } },
	{ "trace", OPT_TO, { "to", 0, "GLOB", false, "messages to this recipient" } },
	{ "trace", OPT_ACCOUNT, { "account", 0, "GLOB", false, "messages of this account, refused ones too" } },
	{ "trace", OPT_LIMIT, { "limit", 0, "N", false, "the last N messages; default: 20" } },
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
