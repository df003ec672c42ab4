/*
 * The queue as smtpadm reads it, through libpostern-spool, with the daemon running or not. Root becomes the
 * spool's owner for good before it reads a file: message files hold foreign octets.
 */
#include "queue.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "out.h"

static struct conf conf;

static bool
is_deferred(const struct queue_message *m)
{
	return m->folder == SPOOL_CUR && m->err == ERR_OK && m->state.tries != 0;
}

const char *
queue_state(const struct queue_message *m)
{
	static const char *const words[SPOOL_NFOLDERS] = { "incomplete", "active", "active", "held", "failed" };

	return is_deferred(m) ? "deferred" : words[m->folder];
}

const char *
queue_name(const struct queue_message *m)
{
	static const char *const words[SPOOL_NFOLDERS] = { "maildrop", "incoming", "active", "hold", "corrupt" };

	return is_deferred(m) ? "deferred" : words[m->folder];
}

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? at + 1 : "";
}

const char *
queue_route(const struct queue_message *m, size_t recipient)
{
	const struct spool_envelope *e = &m->envelope;
	const struct conf_route *route;

	if (m->state.route != NULL)
		return m->state.route;
	route = conf_find_route(&conf, e->account, domain_of(e->sender), domain_of(e->recipients[recipient].address));
	return route != NULL ? route->name : "";
}

const char *
queue_reason_of(const struct queue_message *m, size_t recipient)
{
	const struct state_recipient *r = recipient < m->state.nrecipients ? &m->state.recipients[recipient] : NULL;

	if (r == NULL || r->status == RECIPIENT_DELIVERED || r->status == RECIPIENT_REMOVED ||
	    (r->status == RECIPIENT_REPORTED && m->folder != SPOOL_FAILED))
		return NULL;
	return r->reply != NULL && r->reply[0] != 0 ? r->reply : NULL;
}

const char *
queue_reason(const struct queue_message *m)
{
	const char *reason = m->folder == SPOOL_HOLD ? m->state.hold : NULL;

	for (size_t i = 0; i < m->state.nrecipients && reason == NULL; i++)
		reason = queue_reason_of(m, i);
	return reason;
}

static int
become_owner(const struct spool_dirs *d)
{
	struct stat st;

	if (geteuid() != 0)
		return ERR_OK;
	if (fstat(d->root_fd, &st) != 0)
		return ERR_SYSTEM;
	if (st.st_uid == 0)
		return ERR_OK;
	if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
		return ERR_SYSTEM;
	return setuid(0) == 0 ? ERR_DENIED : ERR_OK;
}

int
queue_open(const struct admin *a, struct spool_dirs *d)
{
	char path[PATH_MAX];
	int code, err;

	if ((code = admin_load_conf(a, &conf)) != EX_OK)
		return code;
	if (instance_spool(&a->in, &conf, path) != ERR_OK)
		return out_fail(EX_CONFIG, "configuration", "spool.path is too long");
	if ((err = spool_open(d, path)) == ERR_OK && (err = become_owner(d)) != ERR_OK)
		spool_close(d);
	if (err == ERR_OK)
		return EX_OK;
	code = admin_code(err);
	out_fix(
	    "%s", code == EX_NOPERM ? "the same command as root, or as the owner of the instance" : "smtpadm setup");
	return out_fail(code, admin_name(err), "the spool %s can't be opened: %s", path, err_text(err));
}

void
queue_read(const struct spool_dirs *d, const struct spool_entry *e, struct queue_message *m)
{
	*m = (struct queue_message){ .folder = e->folder };
	memcpy(m->file, e->name, sizeof(m->file));
	if ((m->err = spool_read_envelope(e->fd, &m->envelope)) != ERR_OK)
		m->envelope = (struct spool_envelope){ .account = NULL };
	if (m->err != ERR_OK || m->envelope.id[0] == 0)
		memcpy(m->envelope.id, e->id, sizeof(m->envelope.id));
	if (m->err == ERR_OK && (m->err = state_read(d, m->envelope.id, m->envelope.nrecipients, &m->state)) != ERR_OK) {
		spool_envelope_free(&m->envelope);
		memcpy(m->envelope.id, e->id, sizeof(m->envelope.id));
	}
	if (m->err != ERR_OK)
		m->state = (struct state){ .tries = 0 };
}

void
queue_free(struct queue_message *m)
{
	spool_envelope_free(&m->envelope);
	state_free(&m->state);
}

/* What was last heard about a recipient. */
static void
put_result(struct json *j, const struct state_recipient *r)
{
	static const char *const words[] = { "waiting", "delivered", "failed", "failed", "removed" };

	json_put_str(j, "status", words[r->status]);
	if (r->time_us == 0)
		return;
	json_put_u64(j, "last_attempt", r->time_us / 1000000);
	json_put_str(j, "stage", ipc_delivery_stage(r->stage));
	if (r->code != 0)
		json_put_u64(j, "code", r->code);
	if (r->enhanced != NULL)
		json_put_str(j, "enhanced", r->enhanced);
	json_put_str(j, "last_reply", r->reply);
	json_put_str(j, "remote", r->host);
	json_put_str(j, "tls", r->tls);
}

static void
put_recipients(struct json *j, const struct queue_message *m)
{
	const struct spool_envelope *e = &m->envelope;
	const char *reason;

	json_open(j, "recipients", '[');
	for (size_t i = 0; i < e->nrecipients; i++) {
		json_open(j, NULL, '{');
		json_put_str(j, "address", e->recipients[i].address);
		if (e->recipients[i].notify != NULL)
			json_put_str(j, "notify", e->recipients[i].notify);
		if (e->recipients[i].orcpt != NULL)
			json_put_str(j, "orcpt", e->recipients[i].orcpt);
		json_put_str(j, "route", queue_route(m, i)[0] != 0 ? queue_route(m, i) : NULL);
		put_result(j, &m->state.recipients[i]);
		if ((reason = queue_reason_of(m, i)) != NULL)
			json_put_str(j, "delay_reason", reason);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static const char *
first_reply(const struct queue_message *m)
{
	const char *reply = NULL;

	for (size_t i = 0; i < m->state.nrecipients && reply == NULL; i++)
		reply = queue_reason_of(m, i);
	return reply;
}

void
queue_put_json(const struct queue_message *m)
{
	const struct spool_envelope *e = &m->envelope;
	char session[24];
	struct json j;

	snprintf(session, sizeof(session), "%016llx", (unsigned long long)e->session);
	json_begin(&j);
	json_put_str(&j, "queue_name", queue_name(m));
	json_put_str(&j, "queue_id", e->id[0] != 0 ? e->id : NULL);
	if (m->err == ERR_OK) {
		json_put_u64(&j, "arrival_time", e->arrival_us / 1000000);
		json_put_u64(&j, "message_size", e->message_size);
	} else {
		json_put_str(&j, "arrival_time", NULL);
		json_put_str(&j, "message_size", NULL);
	}
	json_put_str(&j, "sender", e->sender);
	put_recipients(&j, m);
	json_put_str(&j, "account", e->account);
	if (m->err == ERR_OK) {
		json_put_str(&j, "credential", e->credential);
		json_put_u64(&j, "tries", m->state.tries);
		if (m->state.next_us != 0)
			json_put_u64(&j, "next_try", m->state.next_us / 1000000);
		else
			json_put_str(&j, "next_try", NULL);
		json_put_str(&j, "last_reply", first_reply(m));
		json_put_str(&j, "route", m->envelope.nrecipients != 0 && queue_route(m, 0)[0] != 0 ? queue_route(m, 0) : NULL);
		json_put_str(&j, "hold_reason", m->state.hold);
	}
	json_put_str(&j, "session_id", e->session != 0 ? session : NULL);
	json_put_str(&j, "state", queue_state(m));
	json_put_str(&j, "file", m->file);
	if (e->envid != NULL)
		json_put_str(&j, "envid", e->envid);
	if (e->ret != NULL)
		json_put_str(&j, "ret", e->ret);
	if (m->err == ERR_OK) {
		json_put_bool(&j, "body_8bit", e->body_8bit);
		json_put_bool(&j, "smtputf8", e->smtputf8);
	} else {
		json_put_str(&j, "corrupt", err_text(m->err));
	}
	json_end(&j, stdout);
}
