/*
 * smtpadm tls: showing, checking and replacing certificates. Runs with the admin's rights; a private key is read to see that
 * it fits, and wiped. Invariant: what is copied into place was a matching pair before.
 */
#include "command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "certificate.h"
#include "certificate_read.h"
#include "check.h"
#include "conf.h"
#include "control.h"
#include "err.h"
#include "io.h"
#include "out.h"
#include "process.h"
#include "setup.h"
#include "show.h"
#include "str.h"

#define SOON_DAYS 21	/* certbot renews with 30 days left: something is wrong with less than this */

static struct conf conf;
static struct certificate_info info;

/* Reads the certificate of a pair through links. Exit code. */
static int
load(const struct admin *a, const struct conf_pair *p)
{
	char path[PATH_MAX];
	struct buf chain;
	mode_t mode;
	int code;

	if (instance_file(&a->in, p->certificate, path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "%s is too long", p->certificate_setting);
	buf_init(&chain, CERTIFICATE_FILE_MAX);
	if ((code = setup_read_given(path, &chain, &mode)) == EX_OK && certificate_read(&chain, &info) != ERR_OK) {
		out_fix("smtpadm tls reload --cert FILE --key FILE");
		code = out_fail(EX_CONFIG, "configuration", "%s: the certificate file holds no PEM certificate", path);
	}
	buf_wipe(&chain);
	return code;
}

static void
show_json(const struct conf_pair *p)
{
	int64_t left = certificate_days_left(&info);
	char text[40];
	struct json j;

	json_begin(&j);
	json_put_str(&j, "certificate", p->name[0] != 0 ? p->name : "default");
	json_put_bool(&j, "default", p->name[0] == 0);
	json_put_str(&j, "file", p->certificate);
	json_put_str(&j, "key_file", p->key);
	json_put_str(&j, "subject", info.subject);
	json_open(&j, "names", '[');
	for (size_t i = 0; i < info.nnames; i++)
		json_put_str(&j, NULL, info.names[i]);
	json_close(&j, ']');
	json_put_str(&j, "issuer", info.issuer);
	json_put_bool(&j, "self_signed", info.self_signed);
	json_put_str(&j, "not_before", show_time(text, TIME_UTC, (uint64_t)info.not_before * 1000000));
	json_put_str(&j, "not_after", show_time(text, TIME_UTC, (uint64_t)info.not_after * 1000000));
	json_put_u64(&j, "days_left", left > 0 ? (uint64_t)left : 0);
	json_put_bool(&j, "expired", left < 0);
	json_put_str(&j, "key_type", info.key_type);
	json_open(&j, "listeners", '[');
	for (size_t i = 0; i < conf.nlisteners; i++)
		if (conf.listeners[i].kind != LISTENER_PLAIN)
			json_put_str(&j, NULL, conf.listeners[i].name);
	json_close(&j, ']');
	json_end(&j, stdout);
}

static void
show_words(const struct admin *a, const struct conf_pair *p, bool first)
{
	enum time_style style = a->time == TIME_LOCAL ? TIME_LOCAL : TIME_UTC;
	int64_t left = certificate_days_left(&info);
	char from[40], to[40];

	if (!first)
		out_print("\n");
	out_print("certificate  %s\n", p->name[0] != 0 ? p->name : "default");
	out_print("file         %s\n", p->certificate);
	out_print("subject      %s\n", info.subject);
	for (size_t i = 0; i < info.nnames; i++)
		out_print("%s%s\n", i == 0 ? "names        " : "             ", info.names[i]);
	out_print("issuer       %s\n", info.self_signed ? "itself" : info.issuer);
	show_time(from, style, (uint64_t)info.not_before * 1000000);
	show_time(to, style, (uint64_t)info.not_after * 1000000);
	if (left < 0)
		out_print("valid        %s to %s, expired %" PRId64 " days ago\n", from, to, -left);
	else
		out_print("valid        %s to %s, %" PRId64 " days left\n", from, to, left);
	out_print("key          %s\n", info.key_type);
	out_print("used for     %s on", p->name[0] != 0 ? "clients that ask for one of its names" :
	    "its names, and clients that ask for none or another");
	for (size_t i = 0; i < conf.nlisteners; i++)
		if (conf.listeners[i].kind != LISTENER_PLAIN)
			out_print(" %s", conf.listeners[i].name);
	out_print("%s\n", conf_needs_tls(&conf) ? "" : " no listener");
}

int
cmd_tls_show(struct admin *a)
{
	struct conf_pair pair;
	int code, worst;

	if ((worst = admin_load_conf(a, &conf)) != EX_OK)
		return worst;
	for (size_t i = 0; conf_pair(&conf, i, &pair); i++) {
		if ((code = load(a, &pair)) == EX_OK) {
			if (out_is_json())
				show_json(&pair);
			else
				show_words(a, &pair, i == 0);
		} else {
			worst = code;
		}
		certificate_info_free(&info);
	}
	return worst;
}

/* What is doubtful about one certificate: each a sentence. */
struct doubts {
	char	text[5][1200];
	size_t	n;
};

static void
doubt(struct doubts *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
doubt(struct doubts *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->text[d->n++], sizeof(d->text[0]), fmt, ap);
	va_end(ap);
}

static void
find_doubts(struct doubts *d, bool bears_hostname)
{
	int64_t left = certificate_days_left(&info), now = (int64_t)(io_now_us() / 1000000);

	*d = (struct doubts){ .n = 0 };
	if (left < 0)
		doubt(d, "it expired %" PRId64 " days ago", -left);
	else if (left < SOON_DAYS)
		doubt(d, "it expires in %" PRId64 " days: has its renewal failed?", left);
	if (info.not_before > now)
		doubt(d, "it is not valid yet");
	if (info.nnames == 0)
		doubt(d, "it has no subjectAltName, and clients look for names nowhere else");
	if (!bears_hostname)
		doubt(d, "no certificate names %s, which is the setting hostname", conf.hostname);
	if (info.chain_problem[0] != 0)
		doubt(d, "%s", info.chain_problem);
}

static void
report(const struct conf_pair *p, const struct doubts *d, bool can_be_served)
{
	struct json j;

	if (!out_is_json()) {
		for (size_t i = 0; i < d->n; i++)
			out_print("%s: %s\n", p->certificate, d->text[i]);
		if (d->n == 0 && can_be_served)
			out_print("%s: in order, %" PRId64 " days left%s\n", p->certificate, certificate_days_left(&info),
			    info.self_signed ? "; it signs itself, so clients must be told to trust it" : "");
		return;
	}
	json_begin(&j);
	json_put_str(&j, "certificate", p->name[0] != 0 ? p->name : "default");
	json_put_str(&j, "file", p->certificate);
	json_put_bool(&j, "ok", d->n == 0 && can_be_served);
	json_put_bool(&j, "self_signed", info.self_signed);
	json_open(&j, "problems", '[');
	for (size_t i = 0; i < d->n; i++)
		json_put_str(&j, NULL, d->text[i]);
	json_close(&j, ']');
	json_end(&j, stdout);
}

/* Whether any certificate bears the hostname: then it is enough that the others do not. */
static bool
is_hostname_borne(const struct buf *chains, size_t n)
{
	bool borne = false;

	for (size_t i = 0; i < n && !borne; i++) {
		borne = certificate_read(&chains[i], &info) == ERR_OK && certificate_bears(&info, conf.hostname);
		certificate_info_free(&info);
	}
	return borne;
}

int
cmd_tls_check(struct admin *a)
{
	static struct buf chains[CONF_PAIRS_MAX];
	static struct doubts doubts;
	int codes[CONF_PAIRS_MAX], worst;
	struct certificate_facts facts;
	struct conf_pair pair;
	bool borne;
	size_t n;

	if ((worst = admin_load_conf(a, &conf)) != EX_OK)
		return worst;
	for (n = 0; conf_pair(&conf, n, &pair); n++) {
		buf_init(&chains[n], CERTIFICATE_FILE_MAX);
		if ((codes[n] = check_pair(a, &pair, &chains[n], &facts, NULL)) != EX_OK)
			worst = codes[n];
	}
	borne = is_hostname_borne(chains, n);
	for (size_t i = 0; conf_pair(&conf, i, &pair); i++) {
		if (certificate_read(&chains[i], &info) == ERR_OK) {
			find_doubts(&doubts, i != 0 || borne);
			report(&pair, &doubts, codes[i] == EX_OK);
			if (doubts.n != 0 && worst == EX_OK)
				worst = EX_NO;
		}
		certificate_info_free(&info);
		buf_wipe(&chains[i]);
	}
	return worst;
}

/* A renewed pair on its way into its place. */
struct renewal {
	const char	*cert, *key;			/* as given */
	char		 chain_path[PATH_MAX], key_path[PATH_MAX];
	struct buf	 chain, secret;
	bool		 changed;
};

static int
find_pair(const char *name, struct conf_pair *p)
{
	for (size_t i = 0; conf_pair(&conf, i, p); i++)
		if (strcmp(p->name, name) == 0)
			return EX_OK;
	out_fix("smtpadm config set certificate.%s.certificate tls/%s.pem", name, name);
	return out_fail(EX_NOUSER, "no_certificate", "there is no [certificate %s]", name);
}

/* Whether both names lead to one file: then there is nothing to copy. */
static bool
is_one_file(const char *x, const char *y)
{
	struct stat a, b;

	return stat(x, &a) == 0 && stat(y, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A link is somebody else's arrangement: what it leads to is not ours to replace. */
static int
put_file(const char *from, const char *path, const struct buf *b, mode_t mode)
{
	struct stat st;
	int code, err;

	if (is_one_file(from, path) || setup_is_same(path, b))
		return EX_OK;
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		out_fix("smtpadm config set tls.certificate tls/certificate.pem, or the name of another file");
		return out_fail(EX_CONFIG, "configuration", "%s is a link or no file: nothing is copied over it", path);
	}
	if ((code = setup_keep_old(path)) != EX_OK)
		return code;
	if ((err = io_replace_file(path, b->data, b->len, mode)) != ERR_OK)
		return out_fail(admin_code(err), admin_name(err), "%s: %s", path, err_text(err));
	return EX_OK;
}

static int
plan(const struct admin *a, const struct conf_pair *p, struct renewal *r)
{
	struct certificate_facts facts;
	mode_t mode;
	int code;

	if (instance_file(&a->in, p->certificate, r->chain_path) != ERR_OK ||
	    instance_file(&a->in, p->key, r->key_path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "%s or %s is too long", p->certificate_setting, p->key_setting);
	if ((code = setup_read_given(r->cert, &r->chain, &mode)) != EX_OK ||
	    (code = setup_read_given(r->key, &r->secret, &mode)) != EX_OK)
		return code;
	if (certificate_check(&r->chain, &r->secret, p->name[0] == 0 ? conf.hostname : NULL, &facts) != ERR_OK)
		return out_fail(EX_DATAERR, "bad_certificate", "%s and %s: %s; nothing was changed", r->cert, r->key, facts.why);
	/* Once it is in place the check of all pairs says it. */
	if (a->dry_run && facts.warning[0] != 0)
		out_warn("%s: %s", r->cert, facts.warning);
	r->changed = !setup_is_same(r->chain_path, &r->chain) || !setup_is_same(r->key_path, &r->secret);
	return EX_OK;
}

/* Each file is replaced at once; between the two posternd finds no pair, and goes on with what it has. */
static int
renew(const struct admin *a, const struct conf_pair *p, struct renewal *r)
{
	struct conffile lock;
	int code;

	/* One admin, or hook, at a time. */
	if ((code = conffile_open(&lock, a)) != EX_OK)
		return code;
	/* It says where the files go: root would write wherever somebody else likes. */
	if (geteuid() == 0 && lock.uid != 0) {
		out_fix("the same command as user %u: sudo -u '#%u' smtpadm tls reload --cert FILE --key FILE", (unsigned)lock.uid,
		    (unsigned)lock.uid);
		code = out_fail(EX_NOPERM, "not_allowed", "%s belongs to user %u: root copies no certificate to where it says", lock.path,
		    (unsigned)lock.uid);
		conffile_close(&lock);
		return code;
	}
	buf_init(&r->chain, CERTIFICATE_FILE_MAX);
	buf_init(&r->secret, CERTIFICATE_FILE_MAX);
	if ((code = plan(a, p, r)) == EX_OK && !a->dry_run && (code = put_file(r->key, r->key_path, &r->secret, 0600)) == EX_OK)
		code = put_file(r->cert, r->chain_path, &r->chain, 0644);
	buf_free(&r->chain);
	buf_wipe(&r->secret);
	conffile_close(&lock);
	if (code == EX_OK)
		out_say("%s and %s %s", p->certificate, p->key, !r->changed ? "are these files already" :
		    a->dry_run ? "would be replaced (dry run: nothing was changed)" : "are in place");
	return code;
}

/* Has the daemon load it, and hears what came of that. */
static int
order(const struct admin *a)
{
	struct ipc_control_done d;
	uint8_t data[16];
	struct wire_out w;
	int code;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_CONTROL_RELOAD);
	if ((code = control_order(a, &w, IPC_CONTROL_RELOAD_ANSWER, &d)) != EX_OK)
		return code;
	return d.code == EX_OK ? EX_OK : out_fail(d.code, "configuration", "%s", d.reason);
}

static int
tell(const struct admin *a, const struct renewal *r)
{
	bool running;
	struct json j;
	pid_t pid;
	int code;

	running = process_find_master(a, &pid);
	if (!running && r->cert == NULL) {
		out_fix("posternd%s", out_root());
		return out_fail(EX_UNAVAILABLE, "not_running", "posternd does not run, so there is nothing to reload");
	}
	if (running && !a->dry_run && (code = order(a)) != EX_OK)
		return code;
	if (out_is_json()) {
		json_begin(&j);
		json_put_bool(&j, "changed", r->changed);
		json_put_bool(&j, "reloaded", running && !a->dry_run);
		json_put_bool(&j, "dry_run", a->dry_run);
		json_end(&j, stdout);
	}
	if (running)
		out_say("posternd %s", a->dry_run ? "would be told to reload" : "serves new sessions with these certificates");
	else
		out_say("posternd does not run: it will find the certificate when it starts");
	return EX_OK;
}

int
cmd_tls_reload(struct admin *a)
{
	struct renewal r = { .cert = admin_value(a, OPT_CERT), .key = admin_value(a, OPT_KEY) };
	struct conf_pair pair;
	int code;

	out_fix("smtpadm tls reload, or smtpadm tls reload --cert FILE --key FILE");
	if ((r.cert == NULL) != (r.key == NULL))
		return out_fail(EX_USAGE, "usage", "--cert and --key belong together");
	if (r.cert == NULL && a->nwords != 0)
		return out_fail(EX_USAGE, "usage", "NAME says where --cert and --key go: give both, or no name");
	out_fix("%s", "");
	if ((code = admin_load_conf(a, &conf)) != EX_OK ||
	    (code = find_pair(a->nwords != 0 ? a->words[0] : "", &pair)) != EX_OK)
		return code;
	if (r.cert != NULL && (code = renew(a, &pair, &r)) != EX_OK)
		return code;
	/* Nothing may change in a dry run, so what is there still is the old pair. */
	if (!(a->dry_run && r.cert != NULL) && (code = check_certificate(a, &conf)) != EX_OK)
		return code;
	return tell(a, &r);
}
