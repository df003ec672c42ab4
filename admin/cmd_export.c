/*
 * smtpadm account export: the registry's people as CSV that import reads again, or as JSON. Runs with the admin's rights, reads
 * only, at one moment. What it prints holds password hashes.
 */
#include "command.h"

#include <string.h>

#include "buf.h"
#include "err.h"
#include "out.h"
#include "people.h"
#include "scopes.h"
#include "str.h"

#define SENDERS_MAX (16 * 1024 * 1024)	/* octets of one account's */

struct exporting {
	struct registry		*r;
	struct buf		 senders, patterns;
	struct json		*json;
	int			 err;
};

static int
take_sender(const struct registry_sender *s, void *arg)
{
	struct exporting *e = arg;

	if (e->json != NULL) {
		json_put_str(e->json, NULL, s->pattern);
		return ERR_OK;
	}
	if (e->senders.len != 0 && buf_put_str(&e->senders, " ") != ERR_OK)
		return ERR_NOMEM;
	return buf_put_str(&e->senders, s->pattern);
}

static void
put_field(const char *text, char end)
{
	if (text[strcspn(text, ",\"\r\n")] == 0) {
		printf("%s%c", text, end);
		return;
	}
	putchar('"');
	for (; *text != 0; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	printf("\"%c", end);
}

static void
put_number(uint64_t value, char end)
{
	char text[24];

	put_field(value != 0 ? str_put_u64(text, value) : "", end);
}

static int
take_pattern(const char *pattern, void *arg)
{
	struct buf *to = arg;

	if (to->len != 0 && buf_put_str(to, " ") != ERR_OK)
		return ERR_NOMEM;
	return buf_put_str(to, pattern);
}

/* The patterns of a kind, as one field. */
static int
put_scope(struct exporting *e, const struct registry_credential *c, enum scope_kind kind)
{
	int err = ERR_OK;

	buf_reset(&e->patterns);
	if (c != NULL && c->scoped[kind])
		err = registry_walk_scope(e->r, c->id, kind, take_pattern, &e->patterns);
	if (err == ERR_OK && (err = buf_put_nul(&e->patterns)) == ERR_OK)
		put_field((const char *)e->patterns.data, ',');
	return err;
}

/* One line; what belongs to the account stands on its first. */
static int
put_line(struct exporting *e, const struct registry_account *a, const struct registry_credential *c, const char *senders,
    bool is_first)
{
	static const struct registry_limits none;
	const struct registry_limits *own = c != NULL ? &c->limits : &none;
	bool is_local = c != NULL && c->kind == CREDENTIAL_LOCAL;
	int err = ERR_OK;
	char time[32] = "";

	if (c != NULL && c->expires_us != 0) {
		str_put_time(time, c->expires_us);
		str_fmt(time + 19, sizeof(time) - 19, "Z");
	}
	put_field(a->name, ',');
	put_field(c != NULL ? c->name : "", ',');
	put_field(c != NULL && !is_local ? c->hash : "", ',');
	put_field(time, ',');
	put_field(c != NULL && c->device ? "yes" : "", ',');
	put_field(c != NULL && c->canary ? "yes" : "", ',');
	put_field(is_local ? c->local_user : "", ',');
	for (int kind = 0; kind < SCOPE_KINDS && err == ERR_OK; kind++)
		err = put_scope(e, c, (enum scope_kind)kind);
	put_number(own->recipients, ',');
	put_number(own->message_size, ',');
	put_number(own->messages_per_hour, ',');
	put_field(is_first ? senders : "", ',');
	put_field(!is_first ? "" : a->disabled ? "disabled" : "enabled", ',');
	put_field(is_first && a->contained_us != 0 ? a->contained_reason : "", ',');
	put_number(is_first ? a->limits.sessions : 0, ',');
	put_number(is_first ? a->limits.recipients : 0, ',');
	put_number(is_first ? a->limits.message_size : 0, ',');
	put_number(is_first ? a->limits.messages_per_hour : 0, '\n');
	return err;
}

static int
put_json(struct exporting *e, const struct registry_account *a, const struct registry_credential *c, size_t n)
{
	struct json j;
	int err = ERR_OK;

	json_begin(&j);
	json_put_str(&j, "account", a->name);
	json_put_str(&j, "state", a->disabled ? "disabled" : "enabled");
	if (a->contained_us != 0)
		json_put_str(&j, "contained_reason", a->contained_reason);
	json_open(&j, "credentials", '[');
	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		json_open(&j, NULL, '{');
		json_put_str(&j, "name", c[i].name);
		if (c[i].kind == CREDENTIAL_LOCAL)
			json_put_str(&j, "local_user", c[i].local_user);
		else
			json_put_str(&j, "hash", c[i].hash);
		json_put_u64(&j, "expires_time", c[i].expires_us / 1000000);
		json_put_bool(&j, "device", c[i].device);
		json_put_bool(&j, "canary", c[i].canary);
		err = scopes_put_json(&j, e->r, &c[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "senders", '[');
	e->json = &j;
	if (err == ERR_OK)
		err = registry_walk_senders(e->r, a->id, take_sender, e);
	json_close(&j, ']');
	people_put_limits(&j, &a->limits);
	json_end(&j, stdout);
	return err;
}

static int
export_account(const struct registry_account *a, void *arg)
{
	static struct registry_credential c[REGISTRY_CREDENTIALS_MAX];
	struct exporting *e = arg;
	size_t n;
	int err = registry_list_credentials(e->r, a->id, c, REGISTRY_CREDENTIALS_MAX, &n);

	if (err != ERR_OK || out_is_json())
		return err != ERR_OK ? err : put_json(e, a, c, n);
	buf_reset(&e->senders);
	if ((err = registry_walk_senders(e->r, a->id, take_sender, e)) != ERR_OK || (err = buf_put_nul(&e->senders)) != ERR_OK)
		return err;
	for (size_t i = 0; (i < n || i == 0) && err == ERR_OK; i++)
		err = put_line(e, a, n != 0 ? &c[i] : NULL, (const char *)e->senders.data, i == 0);
	return err;
}

int
cmd_account_export(struct admin *a)
{
	struct exporting e = { .json = NULL };
	int code, err;

	if ((code = people_open(a, false, &e.r)) != EX_OK)
		return code;
	buf_init(&e.senders, SENDERS_MAX);
	buf_init(&e.patterns, SENDERS_MAX);
	if (!out_is_json())
		printf("account,credential,hash,expires,device,canary,local_user,only_senders,only_recipients,only_networks,own_recipients,"
		    "own_message_size,own_messages_per_hour,senders,state,contained,sessions,recipients,message_size,messages_per_hour\n");
	if ((err = registry_walk_accounts(e.r, export_account, &e)) != ERR_OK)
		code = people_fail(e.r, err, "accounts");
	buf_free(&e.senders);
	buf_free(&e.patterns);
	registry_close(e.r);
	return code;
}
