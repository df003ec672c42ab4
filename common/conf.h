#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "netaddr.h"

#define CONF_LISTENERS_MAX 32
#define CONF_NETWORKS_MAX 16
#define CONF_CERTIFICATES_MAX 31	/* beside the default pair */
#define CONF_PAIRS_MAX (CONF_CERTIFICATES_MAX + 1)
#define CONF_FILE_MAX (256 * 1024)	/* octets of a configuration file */
#define CONF_LINE_MAX 198		/* octets of a line (what the parser library holds) */

enum listener_kind {
	LISTENER_SUBMISSION,	/* STARTTLS (RFC 6409, 587) */
	LISTENER_SUBMISSIONS,	/* implicit TLS (RFC 8314, 465) */
	LISTENER_PLAIN,		/* no TLS, for loopback and named local networks only */
	LISTENER_LOCAL,		/* the local socket, local.submit; no section's kind */
};
#define LISTENER_KIND_MAX LISTENER_LOCAL

struct conf_listener {
	char			name[48];
	enum listener_kind	kind;
	struct netaddr		address;
	struct netmask		networks[CONF_NETWORKS_MAX];	/* clients that may come; none: all, but plain: loopback, and beside it these */
	size_t			nnetworks;
	bool			has_kind;
	unsigned		line;		/* of its first key, for messages */
};

/* One [certificate NAME]: a chain and its key for the names that the certificate bears. */
struct conf_certificate {
	char			name[37];	/* inih cuts the names of sections off behind 49 octets */
	char			certificate[256], key[256];	/* files, as tls.certificate and tls.key; tls/NAME.pem, tls/NAME-key.pem */
};

#define CONF_ROUTES_MAX 32
#define CONF_ROUTE_NAME 37

enum route_kind {
	ROUTE_SMTP,	/* smtp://host:port, STARTTLS as `tls` says */
	ROUTE_SMTPS,	/* smtps://host:port, TLS from the first octet */
	ROUTE_LMTP,	/* lmtp://host:port, or lmtp:/path of a local socket (RFC 2033) */
	ROUTE_MX,	/* mx: the mail exchangers of each recipient's domain (RFC 5321, section 5) */
	ROUTE_DISCARD,	/* discard: takes and forgets, for tests */
};
enum route_tls {
	ROUTE_TLS_NONE,
	ROUTE_TLS_OPPORTUNISTIC,	/* where it is offered, whatever the certificate */
	ROUTE_TLS_REQUIRED,		/* encrypted, whatever the certificate */
	ROUTE_TLS_VERIFIED,		/* encrypted, with a certificate for the host's name by a known authority */
};

/* One [route NAME]. Lists are words divided by one blank, lower case. */
struct conf_route {
	char		name[CONF_ROUTE_NAME];
	enum route_kind	kind;
	enum route_tls	tls;
	char		host[256];	/* name or address literal without brackets; "" for a path, mx: and discard: */
	uint16_t	port;		/* also of mx:, 25 but in tests ("mx:2525") */
	char		path[108];	/* of a local socket, absolute */
	char		user[256];	/* SMTP AUTH; "" for none */
	char		secret[256];	/* file of its password, as tls.key; routes/NAME.secret */
	char		ca[256];	/* file of certificates to verify by, "" for the system's */
	char		to_domains[1024], from_domains[1024], accounts[1024];	/* all "": the default route */
	uint64_t	sessions;	/* at the same time to one destination; 0: delivery.sessions_per_destination */
	bool		return_path;	/* LMTP: write a Return-Path field, for a server that does not do it itself */
	unsigned	line;		/* of its first key, for messages */
	unsigned	given;		/* the keys that it has, a bit each */
};

/* Every setting; the comment is its name in the file. Durations are milliseconds, sizes octets. */
struct conf {
	char		hostname[256];			/* hostname */
	uint8_t		replies_rfc;			/* replies: 0 default, 1 rfc */
	char		spool_path[1024];		/* spool.path; "" is the instance's own */
	uint64_t	spool_commit_threads;		/* spool.commit_threads */
	uint64_t	spool_min_free;			/* spool.min_free */
	uint64_t	spool_journal;			/* spool.journal */
	uint64_t	users_base;			/* users.base */
	uint64_t	workers_spare;			/* workers.spare */
	uint64_t	workers_max;			/* workers.max */
	uint64_t	workers_crash_ban;		/* workers.crash_ban */
	uint64_t	limits_command_timeout;		/* limits.command_timeout */
	uint64_t	limits_data_timeout;		/* limits.data_timeout */
	uint64_t	limits_recipients;		/* limits.recipients */
	uint64_t	limits_message_size;		/* limits.message_size */
	uint64_t	limits_attachment_size;		/* limits.attachment_size */
	uint64_t	limits_sessions_per_account;	/* limits.sessions_per_account */
	uint64_t	limits_sessions_per_address;	/* limits.sessions_per_address */
	uint64_t	limits_errors;			/* limits.errors */
	uint8_t		senders_check_header;		/* senders.check_header */
	uint8_t		received_client;		/* received.client */
	uint8_t		local_submit;			/* local.submit */
	uint64_t	auth_hashers;			/* auth.hashers */
	uint64_t	auth_failure_delay;		/* auth.failure_delay */
	uint64_t	auth_remember;			/* auth.remember */
	uint64_t	auth_throttle_after;		/* auth.throttle_after; 0: never */
	uint64_t	auth_throttle_time;		/* auth.throttle_time */
	char		tls_certificate[1024];		/* tls.certificate */
	char		tls_key[1024];			/* tls.key */
	uint8_t		tls_watch;			/* tls.watch */
	uint64_t	tls_watch_interval;		/* tls.watch_interval */
	char		delivery_retry[200];		/* delivery.retry */
	uint64_t	delivery_expire;		/* delivery.expire */
	uint64_t	delivery_warn_after;		/* delivery.warn_after; 0: never */
	uint64_t	delivery_sessions;		/* delivery.sessions */
	uint64_t	delivery_sessions_per_destination;	/* delivery.sessions_per_destination */
	uint64_t	delivery_connect_timeout;	/* delivery.connect_timeout */
	uint64_t	delivery_timeout;		/* delivery.timeout */
	char		delivery_postmaster[200];	/* delivery.postmaster */
	char		dns_servers[200];		/* dns.servers; "": those of /etc/resolv.conf */
	uint8_t		dns_dnssec;			/* dns.dnssec */
	uint64_t	trace_keep;			/* trace.keep */
	uint8_t		sandbox_require;		/* sandbox.require */
	uint8_t		log_level;			/* log.level: enum log_level */
	uint8_t		log_format;			/* log.format: enum log_format */
	uint8_t		log_target;			/* log.target: enum log_target */
	struct conf_listener listeners[CONF_LISTENERS_MAX];	/* [listener NAME] */
	size_t		nlisteners;
	struct conf_certificate certificates[CONF_CERTIFICATES_MAX];	/* [certificate NAME] */
	size_t		ncertificates;
	struct conf_route routes[CONF_ROUTES_MAX];	/* [route NAME]; none: accepted mail stays in the queue */
	size_t		nroutes;
};

enum conf_type { CONF_TEXT, CONF_HOSTNAME, CONF_NUMBER, CONF_SIZE, CONF_DURATION, CONF_BOOL, CONF_WORD, CONF_SCHEDULE, CONF_SERVERS,
	CONF_ADDRESS };

/* One row of the table of settings. */
struct conf_setting {
	const char		*name;		/* "limits.recipients"; "hostname" stands before the first section */
	enum conf_type		 type;
	size_t			 offset;	/* in struct conf */
	size_t			 size;		/* of the field, for text */
	const char		*fallback;	/* the default, as text */
	uint64_t		 min, max;	/* for numbers, in octets and milliseconds */
	const char *const	*words;		/* for CONF_WORD: the values 0, 1, ..., ended by NULL */
	const char		*help;		/* one sentence */
};

struct conf_error {
	unsigned	line;		/* 0 when no line is to blame */
	char		text[512];	/* what is wrong and how to mend it, a sentence without the file's name */
};

/* The table; n rows through n. */
const struct conf_setting *conf_settings(size_t *n);
/* A row by its dotted name, or NULL. */
const struct conf_setting *conf_find(const char *name);
/* The name nearest to a mistyped one, or NULL. */
const char *conf_nearest(const char *name);
/* Whether there may be such a section: one of the table's, or "listener NAME" and the like. */
bool	conf_is_section(const char *section);
/* What is wrong with a key that no setting has (or, with the key "", with its section): a sentence with the nearest setting or section; to holds size octets; returns to. */
char	*conf_explain_unknown(char *to, size_t size, const char *section, const char *key);

/*
 * Parses a whole configuration; what it does not set has its default. ERR_SYNTAX with *error filled in:
 * the first error counts. Pure.
 */
int	conf_parse(struct conf *c, const char *text, size_t len, struct conf_error *error);

/* One key of a [listener NAME]. Any error: error->text says what is wrong. */
int	conf_set_listener(struct conf *c, const char *name, const char *key, const char *value, unsigned line, struct conf_error *error);
/* Checks the listeners together (an address each, none without TLS for all the world); a name may be the kind. ERR_SYNTAX. */
int	conf_complete_listeners(struct conf *c, struct conf_error *error);

/* One key of a [certificate NAME]. Any error: error->text says what is wrong. */
int	conf_set_certificate(struct conf *c, const char *name, const char *key, const char *value, struct conf_error *error);
/* Gives those that lack a file's name the usual one. */
void	conf_complete_certificates(struct conf *c);

/* A pair of certificate and key, with the names of the settings that name its files. Pointers go into the configuration. */
struct conf_pair {
	const char	*name;				/* "" for the default one */
	const char	*certificate, *key;
	char		 certificate_setting[80], key_setting[80];
};

/* Pair i: 0 is the default one, then the sections in order, which is the order of postern-keys' keys. False behind the last. */
bool	conf_pair(const struct conf *c, size_t i, struct conf_pair *p);
/* Whether a listener has TLS. */
bool	conf_needs_tls(const struct conf *c);

/* How long to wait after so many attempts (1: the first has failed), by delivery.retry; its last time stands for all further ones. */
uint64_t conf_retry_ms(const struct conf *c, unsigned tries);
/* Name server i of dns.servers, with port 53 where it has none. False behind the last. */
bool	conf_dns_server(const struct conf *c, size_t i, struct netaddr *a);
/* Whether a value is a list of times, of name servers, a mailbox or nothing. */
bool	conf_is_schedule(const char *value);
bool	conf_is_servers(const char *value);
bool	conf_is_address(const char *value);

/* Reads the URL of a route into kind, tls (its default), host, port and path. ERR_SYNTAX with error->text. */
int	conf_parse_route_url(struct conf_route *r, const char *url, struct conf_error *error);
/* One key of a [route NAME]. Any error: error->text says what is wrong. */
int	conf_set_route(struct conf *c, const char *name, const char *key, const char *value, unsigned line, struct conf_error *error);
/* Checks the routes together (a url each, one default, no word in two routes) and fills in the usual file names. ERR_SYNTAX. */
int	conf_complete_routes(struct conf *c, struct conf_error *error);
/* "smtp", ...; "none", "opportunistic", ... */
const char *conf_route_kind(enum route_kind kind);
const char *conf_route_tls(enum route_tls tls);
/*
 * The route of one recipient: by its domain, else by the account, else by the sender's domain, else the default one; NULL: none.
 * In lists "*.example.org" stands for all below. Compared without ASCII case.
 */
const struct conf_route *conf_find_route(const struct conf *c, const char *account, const char *from_domain, const char *to_domain);

/* Reads and parses a file. Also ERR_NOTFOUND, ERR_DENIED, ERR_SYSTEM, ERR_TOOBIG, with error->text. The text, if wanted, goes to *text
 * (malloc, NUL behind len octets; the caller frees). */
int	conf_load(struct conf *c, const char *path, char **text, size_t *len, struct conf_error *error);

/* Reads and parses from a descriptor at offset 0 (a sealed memory file that the master made). ERR_SYSTEM, ERR_SYNTAX. */
int	conf_load_fd(struct conf *c, int fd, struct conf_error *error);

/* A setting's value as it would stand in the file; to holds 1024 octets; returns to. */
char	*conf_put_value(char *to, const struct conf *c, const struct conf_setting *s);

/* "submission", "submissions", "plain". */
const char *conf_listener_kind(enum listener_kind kind);
/* ERR_NOTFOUND */
int	conf_parse_listener_kind(const char *word, enum listener_kind *kind);

#endif
