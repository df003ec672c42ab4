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

static const struct {
	const char *state, *name;
} words[SPOOL_NFOLDERS] = {
	[SPOOL_TMP] = { "incomplete", "maildrop" },
	[SPOOL_NEW] = { "active", "incoming" },
	[SPOOL_CUR] = { "active", "active" },
	[SPOOL_HOLD] = { "held", "hold" },
	[SPOOL_FAILED] = { "failed", "corrupt" },
};

const char *
queue_state(enum spool_folder f)
{
	return words[f].state;
}

const char *
queue_name(enum spool_folder f)
{
	return words[f].name;
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
	static struct conf c;
	char path[PATH_MAX];
	int code, err;

	if ((code = admin_load_conf(a, &c)) != EX_OK)
		return code;
	if (instance_spool(&a->in, &c, path) != ERR_OK)
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
queue_read(const struct spool_entry *e, struct queue_message *m)
{
	*m = (struct queue_message){ .folder = e->folder };
	memcpy(m->file, e->name, sizeof(m->file));
	if ((m->err = spool_read_envelope(e->fd, &m->envelope)) != ERR_OK)
		m->envelope = (struct spool_envelope){ .account = NULL };
	if (m->err != ERR_OK || m->envelope.id[0] == 0)
		memcpy(m->envelope.id, e->id, sizeof(m->envelope.id));
}

void
queue_free(struct queue_message *m)
{
	spool_envelope_free(&m->envelope);
}

static void
put_recipients(struct json *j, const struct spool_envelope *e)
{
	json_open(j, "recipients", '[');
	for (size_t i = 0; i < e->nrecipients; i++) {
		json_open(j, NULL, '{');
		json_put_str(j, "address", e->recipients[i].address);
		if (e->recipients[i].notify != NULL)
			json_put_str(j, "notify", e->recipients[i].notify);
		if (e->recipients[i].orcpt != NULL)
			json_put_str(j, "orcpt", e->recipients[i].orcpt);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void
queue_put_json(const struct queue_message *m)
{
	const struct spool_envelope *e = &m->envelope;
	char session[24];
	struct json j;

	snprintf(session, sizeof(session), "%016llx", (unsigned long long)e->session);
	json_begin(&j);
	json_put_str(&j, "queue_name", queue_name(m->folder));
	json_put_str(&j, "queue_id", e->id[0] != 0 ? e->id : NULL);
	if (m->err == ERR_OK) {
		json_put_u64(&j, "arrival_time", e->arrival_us / 1000000);
		json_put_u64(&j, "message_size", e->message_size);
	} else {
		json_put_str(&j, "arrival_time", NULL);
		json_put_str(&j, "message_size", NULL);
	}
	json_put_str(&j, "sender", e->sender);
	put_recipients(&j, e);
	json_put_str(&j, "account", e->account);
	json_put_str(&j, "session_id", m->err == ERR_OK ? session : NULL);
	json_put_str(&j, "state", queue_state(m->folder));
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
