/*
 * smtpadm account import: all the accounts of a file in one transaction, or none. Runs with the admin's rights. Plain passwords
 * are hashed before it begins; with --dry-run it is rolled back. Invariant: after any end, kill -9 too, all are there or none.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "import.h"
#include "io.h"
#include "mem.h"
#include "out.h"
#include "password.h"
#include "people.h"
#include "str.h"

#define FILE_MAX (64 * 1024 * 1024)

struct importing {
	const struct admin	*a;
	const char		*file;
	uint64_t		 size_max;	/* what a message may have at most, whosever it is */
	struct import		 im;
	char			(*hashes)[REGISTRY_HASH_MAX];	/* made from plain passwords, by row; or NULL */
	struct registry		*r;
	uint64_t		 first_id;	/* of the accounts that this file has brought; 0: none yet */
	uint64_t		 accounts, credentials, senders;
};

static int
fail_line(const struct importing *in, unsigned line, int code, const char *name, const char *why)
{
	if (code == EX_CANTCREAT)
		out_fix("smtpadm account list shows what there is; take line %u out of %s, then the same command again", line,
		    in->file);
	else
		out_fix("mend line %u of %s, then the same command again; with --dry-run it only tries", line, in->file);
	return out_fail(code, name, "%s:%u: %s; nothing was imported", in->file, line, why);
}

static int
fail_row(const struct importing *in, const struct import_row *row, int err)
{
	if (err == ERR_SYNTAX || err == ERR_TOOBIG)
		return fail_line(in, row->line, EX_DATAERR, "bad_line", registry_reason(in->r));
	if (err == ERR_EXISTS)
		return fail_line(in, row->line, EX_CANTCREAT, "exists", registry_reason(in->r));
	return people_fail(in->r, err, row->account);
}

static void
fail_pattern(const struct importing *in, unsigned line, const char *pattern)
{
	char why[REGISTRY_PATTERN_MAX + 64];

	str_fmt(why, sizeof(why), "'%.*s' is no pattern for a sender: user@domain, *@domain, user+*@domain or <>", REGISTRY_PATTERN_MAX - 32,
	    pattern);
	fail_line(in, line, EX_DATAERR, "bad_pattern", why);
}

static int
read_file(const char *name, struct buf *b)
{
	int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC), err;

	buf_init(b, FILE_MAX);
	if (fd < 0) {
		err = errno;
		out_fix("smtpadm account import FILE, a file that you may read, or - for standard input");
		return out_fail(err == ENOENT ? EX_NOINPUT : err == EACCES ? EX_NOPERM : EX_IOERR, "input", "%s: %s", name,
		    strerror(err));
	}
	if ((err = io_read_all(fd, b)) == ERR_OK)
		err = buf_put_nul(b);
	io_close(&fd);
	if (err == ERR_TOOBIG) {
		out_fix("several smaller files");
		return out_fail(EX_DATAERR, "too_big", "%s is larger than %d octets", name, FILE_MAX);
	}
	if (err == ERR_OK)
		return EX_OK;
	out_fix("smtpadm account import FILE, a file that you may read, or - for standard input");
	return out_fail(EX_IOERR, "input", "%s: %s", name, err_text(err));
}

static int
choose_form(const struct admin *a, enum import_form *form)
{
	static const char *const forms[] = { "passwd", "dovecot", "csv" };
	const char *word = admin_value(a, OPT_FROM);
	size_t i = word == NULL ? IMPORT_CSV : 0;

	while (word != NULL && i < 3 && strcmp(forms[i], word) != 0)
		i++;
	if (i == 3) {
		out_fix("smtpadm account import %s --from passwd, dovecot or csv", a->words[0]);
		return out_fail(EX_USAGE, "usage", "--from is passwd, dovecot or csv, not '%s'", word);
	}
	*form = (enum import_form)i;
	return EX_OK;
}

/* Before the transaction: yescrypt takes its time. */
static int
hash_passwords(struct importing *in)
{
	for (size_t i = 0; i < in->im.n; i++) {
		const char *password = in->im.rows[i].password;
		int err;

		if (password[0] == 0)
			continue;
		if (in->hashes == NULL && (in->hashes = calloc(in->im.n, REGISTRY_HASH_MAX)) == NULL)
			return out_fail(EX_OSERR, "no_memory", "out of memory");
		if ((err = password_hash(password, strlen(password), in->hashes[i])) != ERR_OK)
			return fail_line(in, in->im.rows[i].line, EX_DATAERR, "bad_line",
			    err == ERR_TOOBIG ? "the password is too long" : "the password can't be hashed");
		in->im.rows[i].hash = in->hashes[i];
	}
	return EX_OK;
}

/* The senders of an account: those of the file, or its own name. */
static int
add_senders(struct importing *in, const struct import_row *row, const char *name, uint64_t id)
{
	char *list = row->senders, *pattern;
	int err = ERR_OK;

	if (list == NULL && strchr(name, '@') != NULL && (err = registry_add_sender(in->r, id, name)) == ERR_OK)
		in->senders++;
	while (list != NULL && err == ERR_OK && (pattern = import_next_sender(&list)) != NULL) {
		if ((err = registry_add_sender(in->r, id, pattern)) == ERR_OK)
			in->senders++;
		else if (err == ERR_SYNTAX)
			fail_pattern(in, row->line, pattern);
	}
	return err;
}

static int
add_account(struct importing *in, const struct import_row *row, const char *name, uint64_t *id)
{
	int err;

	if ((err = registry_add_bare_account(in->r, name, id)) != ERR_OK)
		return fail_row(in, row, err);
	if (in->first_id == 0)
		in->first_id = *id;
	in->accounts++;
	if ((err = add_senders(in, row, name, *id)) == ERR_SYNTAX)
		return EX_DATAERR;
	if (row->limits.message_size > in->size_max)
		out_warn("%s:%u: message_size has no effect above limits.message_size", in->file, row->line);
	if (err == ERR_OK && row->has_limits)
		err = registry_set_limits(in->r, *id, &row->limits);
	if (err == ERR_OK && row->contained[0] != 0)
		err = registry_contain_account(in->r, *id, row->contained);
	else if (err == ERR_OK && row->disabled)
		err = registry_set_disabled(in->r, *id, true);
	return err == ERR_OK ? EX_OK : fail_row(in, row, err);
}

/* The user's number is that of this system, whatever it was where the file comes from. */
static int
add_local(struct importing *in, const struct import_row *row, uint64_t account, const char *name)
{
	const struct passwd *user = getpwnam(row->local_user);
	uint64_t uid = user != NULL ? user->pw_uid : 0;
	char why[128];
	int err;

	if (user == NULL && str_parse_u64(row->local_user, strlen(row->local_user), UINT32_MAX - 1, &uid) != ERR_OK) {
		str_fmt(why, sizeof(why), "there is no user '%.60s' in this system", row->local_user);
		return fail_line(in, row->line, EX_DATAERR, "no_user", why);
	}
	err = registry_add_local(in->r, account, name, row->local_user, uid, row->expires_us);
	return err == ERR_OK ? EX_OK : fail_row(in, row, err);
}

static int
add_credential(struct importing *in, const struct import_row *row, uint64_t account)
{
	const char *name = row->credential[0] != 0 ? row->credential : "password";
	char local[REGISTRY_NAME_MAX], *pattern;
	int err = ERR_OK, code;

	if (row->local_user[0] == 0) {
		err = registry_add_credential(in->r, account, name, row->hash, row->expires_us);
	} else {
		if (row->credential[0] == 0 && str_fmt(local, sizeof(local), "local:%s", row->local_user) == ERR_OK)
			name = local;
		if ((code = add_local(in, row, account, name)) != EX_OK)
			return code;
	}
	if (err == ERR_OK && row->device)
		err = registry_set_device(in->r, account, name, true);
	if (err == ERR_OK && row->canary)
		err = registry_set_canary(in->r, account, name, true);
	if (err == ERR_OK && row->has_own_limits)
		err = registry_set_credential_limits(in->r, account, name, &row->own_limits);
	for (int kind = 0; kind < SCOPE_KINDS; kind++) {
		char *list = row->scopes[kind];

		while (err == ERR_OK && list != NULL && (pattern = import_next_sender(&list)) != NULL)
			err = registry_add_scope(in->r, account, name, (enum scope_kind)kind, pattern);
	}
	in->credentials++;
	return err == ERR_OK ? EX_OK : fail_row(in, row, err);
}

static int
add_row(struct importing *in, const struct import_row *row)
{
	const char *domain = admin_value(in->a, OPT_DOMAIN);
	struct registry_account account;
	char name[2 * REGISTRY_NAME_MAX];
	uint64_t id;
	int code, err;

	if (domain != NULL && strchr(row->account, '@') == NULL)
		err = str_fmt(name, sizeof(name), "%s@%s", row->account, domain);
	else
		err = str_fmt(name, sizeof(name), "%s", row->account);
	if (err != ERR_OK)
		return fail_line(in, row->line, EX_DATAERR, "bad_line", "the account's name is too long");
	if ((err = registry_find_account(in->r, name, &account)) == ERR_NOTFOUND) {
		if ((code = add_account(in, row, name, &id)) != EX_OK)
			return code;
	} else if (err != ERR_OK) {
		return fail_row(in, row, err);
	} else if (in->first_id == 0 || account.id < in->first_id) {
		return fail_line(in, row->line, EX_CANTCREAT, "exists", "this account is in the registry already");
	} else if (row->credential[0] == 0 || row->has_limits || row->disabled || row->contained[0] != 0 ||
	    (row->senders != NULL && row->senders[0] != 0)) {
		return fail_line(in, row->line, EX_DATAERR, "bad_line",
		    "this account stands above; a second line may only bring one more named credential");
	} else {
		id = account.id;
	}
	if (row->hash[0] == 0 && row->local_user[0] == 0)
		return row->credential[0] == 0 ? EX_OK :
		    fail_line(in, row->line, EX_DATAERR, "bad_line", "the credential has no hash");
	return add_credential(in, row, id);
}

static void
report(const struct importing *in)
{
	char accounts[21], credentials[21], senders[21];
	struct json j;

	if (!out_is_json()) {
		out_say("%s accounts with %s credentials and %s senders imported%s", str_put_u64(accounts, in->accounts),
		    str_put_u64(credentials, in->credentials), str_put_u64(senders, in->senders),
		    in->a->dry_run ? " (dry run: nothing was changed)" : "");
		return;
	}
	json_begin(&j);
	json_put_str(&j, "action", "imported");
	json_put_u64(&j, "accounts", in->accounts);
	json_put_u64(&j, "credentials", in->credentials);
	json_put_u64(&j, "senders", in->senders);
	json_put_bool(&j, "dry_run", in->a->dry_run);
	json_end(&j, stdout);
}

int
cmd_account_import(struct admin *a)
{
	struct importing in = { .a = a, .file = a->words[0] };
	enum import_form form = IMPORT_CSV;
	struct buf text = { .data = NULL };
	static struct conf conf;
	int code, err;

	if ((code = admin_load_conf(a, &conf)) != EX_OK)
		return code;
	in.size_max = conf.limits_message_size;
	if ((code = choose_form(a, &form)) != EX_OK || (code = read_file(in.file, &text)) != EX_OK)
		goto out;
	if ((err = import_parse(&in.im, form, (char *)text.data, text.len)) == ERR_SYNTAX)
		code = fail_line(&in, in.im.line, EX_DATAERR, "bad_line", in.im.why);
	else if (err != ERR_OK)
		code = out_fail(EX_OSERR, "no_memory", "out of memory");
	if (code == EX_OK && in.im.n == 0) {
		out_fix("a file with a line an account: smtpadm(8) shows the three kinds");
		code = out_fail(EX_DATAERR, "empty", "there is no account in %s", in.file);
	}
	if (code != EX_OK || (code = hash_passwords(&in)) != EX_OK || (code = people_begin(a, &in.r)) != EX_OK)
		goto out;
	for (size_t i = 0; i < in.im.n && code == EX_OK; i++)
		code = add_row(&in, &in.im.rows[i]);
	if ((code = people_finish(a, in.r, code)) == EX_OK)
		report(&in);
out:
	registry_close(in.r);
	free(in.im.rows);
	free(in.hashes);
	buf_wipe(&text);
	return code;
}
