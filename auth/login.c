/*
 * A login from its question to its answer: who it is, remembered or hashed, a slot, a way to the
 * spool. Part of postern-auth. Invariant: unknown user, wrong password and disabled account cost one
 * hash at least and are one answer at one time; a password is wiped as soon as the last comparison is
 * done; what a network that guesses tries is not even hashed, but for accounts that are at home there.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "login.h"
#include "mem.h"
#include "password.h"
#include "rehash.h"
#include "remember.h"
#include "session.h"
#include "str.h"
#include "tally.h"
#include "throttle.h"
#include "writer.h"

#define SLOT_WAIT_MS 2000	/* PROTOCOL, reading 2 */
#define NOTE_EVERY_US 3600000000ULL	/* how often the use of a credential is written down */

void
login_cancel(struct session *s)
{
	struct login *l = s->login;

	deadline_clear(&s->auth->deadlines, &s->deadline);
	if (l == NULL)
		return;
	hashers_cancel(&s->auth->hashers, &l->job);
	counters_cancel(&s->auth->counters, &l->waiter);
	if (l->has_slot)
		counters_release(&s->auth->counters, l->account.id);
	free(l->credentials);
	mem_wipe(l, sizeof(*l));
	free(l);
	s->login = NULL;
}

static int
answer(struct session *s, enum login_verdict verdict, int fd)
{
	struct ipc_login_answer m = { .verdict = verdict, .wait_seconds = s->wait_seconds };
	uint8_t data[IPC_TEXT_MAX + IPC_PATTERN_MAX + 32];
	struct wire_out w;

	if (verdict == LOGIN_OK && s->listener == LISTENER_LOCAL)
		login_local_sender(s, m.sender, sizeof(m.sender));
	if (verdict == LOGIN_OK) {
		m.account = s->account;
		m.device = s->device;
		memcpy(m.name, s->name, strlen(s->name));
	}
	/* An invalid one was counted when that was known. */
	if (verdict <= LOGIN_THROTTLED && verdict != LOGIN_INVALID)
		tally_add((enum metric)(METRIC_LOGINS_OK + verdict), 1);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_login_answer(&w, &m);
	return session_answer(s, &w, fd);
}

/* Ends the login without success, at once. */
static int
refuse(struct session *s, enum login_verdict verdict)
{
	login_cancel(s);
	s->state = IPC_STATE_ANONYMOUS;
	return answer(s, verdict, -1);
}

static void
log_login(const struct session *s, enum log_level level, const char *event, const char *account, const char *user,
    const char *reason)
{
	static const char *const mechanisms[] = { "plain", "login", "local" };
	char peer[NETADDR_TEXT];

	log_event(level, s->number, event, "account", account, "user", user, "mechanism",
	    mechanisms[s->login->mechanism], "peer", netaddr_put(peer, &s->peer),
	    "reason", reason, NULL);
}

static void
pass_failure(void *owner)
{
	struct session *s = owner;

	s->state = IPC_STATE_ANONYMOUS;
	if (answer(s, s->late, -1) != ERR_OK)
		session_end(s);
}

/* Ends the login: the answer goes out at the fixed time, or at its next multiple if that has passed. */
static void
refuse_late(struct session *s, enum login_verdict verdict, unsigned slowness)
{
	uint64_t started = s->login->started_ms, delay = s->conf->conf.auth_failure_delay * slowness;
	uint64_t passed = io_now_ms() - started;

	login_cancel(s);
	s->late = verdict;
	s->deadline.pass = pass_failure;
	deadline_set(&s->auth->deadlines, &s->deadline, started + (passed / delay + 1) * delay);
}

static void
fail_login(struct session *s, const char *reason)
{
	tally_add(METRIC_LOGINS_INVALID, 1);
	log_login(s, LOG_LEVEL_WARNING, "login.failed", NULL, s->login->user, reason);
	refuse_late(s, LOGIN_INVALID, obstacle_count_wrong(s));
}

/* Nobody guesses here, so nobody waits. */
static int
refuse_local(struct session *s, const char *reason)
{
	log_login(s, LOG_LEVEL_WARNING, "login.failed", NULL, NULL, reason);
	return refuse(s, LOGIN_INVALID);
}

/* Notes from where and when a credential was used, for the admin and for the next start. */
static void
note_use(struct session *s, const struct registry_credential *c)
{
	struct netmask network = throttle_network(&s->peer);
	uint64_t now_us = io_now_us();
	char text[NETADDR_TEXT];

	if (s->listener != LISTENER_LOCAL)
		throttle_note_good(s->auth->pairs, c->account, &s->peer, io_now_ms());
	if (c->used_us + NOTE_EVERY_US <= now_us)
		writer_note_use(s->auth->writer, c->id, now_us, s->listener == LISTENER_LOCAL ? "local" : netmask_put(text, &network));
}

/* The login has its slot: gives the session its rights and its way to the spool. */
static int
grant(struct session *s)
{
	const struct registry_credential *c = &s->login->credentials[s->login->next];
	struct auth *a = s->auth;
	int fd = -1, err;

	free(s->name);
	free(s->credential_name);
	s->name = strdup(s->login->account.name);
	s->credential_name = strdup(strcmp(c->name, "password") == 0 ? "" : c->name);
	if (s->name == NULL || s->credential_name == NULL)
		return refuse(s, LOGIN_UNAVAILABLE);
	s->mechanism = s->login->mechanism;
	s->login_us = io_now_us();
	s->account = c->account;
	s->credential = c->id;
	s->changed_us = c->changed_us;
	s->device = c->device;
	/* Hashing and waiting took time: is it still so? */
	if ((err = session_check_login(s)) == ERR_DENIED) {
		s->account = 0;
		if (s->listener == LISTENER_LOCAL)
			return refuse_local(s, "changed");
		fail_login(s, "changed");
		return ERR_OK;
	}
	if (err == ERR_OK && (err = link_grant(s, &fd)) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, s->number, "login.no_spool", "error", err_text(err), NULL);
	if (err != ERR_OK) {
		s->account = 0;
		return refuse(s, LOGIN_UNAVAILABLE);
	}
	control_tell_account(a, s);
	log_login(s, LOG_LEVEL_INFO, "login.ok", s->name, NULL, NULL);
	note_use(s, c);
	s->login->has_slot = false;	/* it is the session's now */
	login_cancel(s);
	s->state = IPC_STATE_USER;
	err = answer(s, LOGIN_OK, fd);
	io_close(&fd);
	return err;
}

static void
pass_slot_ready(void *owner)
{
	struct session *s = owner;

	if (grant(s) != ERR_OK)
		session_end(s);
}

static void
pass_slot_wait(void *owner)
{
	struct session *s = owner;

	log_login(s, LOG_LEVEL_WARNING, "login.too_many", s->login->account.name, NULL, NULL);
	if (refuse(s, LOGIN_TOO_MANY) != ERR_OK)
		session_end(s);
}

/* Only takes note: this runs while another session ends. */
static void
slot_ready(void *owner)
{
	struct session *s = owner;

	s->login->has_slot = true;
	s->deadline.pass = pass_slot_ready;
	deadline_set(&s->auth->deadlines, &s->deadline, io_now_ms());
}

/* The password is right: a slot now, or the first that is free within two seconds. */
static int
accept_login(struct session *s)
{
	struct login *l = s->login;
	struct auth *a = s->auth;
	int err;

	mem_wipe(l->password, sizeof(l->password));
	session_set_limits(s, &l->account.limits, &l->credentials[l->next].limits);
	l->waiter = (struct counter_waiter){
		.max = s->limits.sessions, .ready = slot_ready, .owner = s,
	};
	if ((err = counters_take(&a->counters, l->account.id, l->waiter.max)) == ERR_OK) {
		l->has_slot = true;
		return grant(s);
	}
	if (err != ERR_BUSY || counters_wait(&a->counters, l->account.id, &l->waiter) != ERR_OK)
		return refuse(s, LOGIN_UNAVAILABLE);
	s->deadline.pass = pass_slot_wait;
	deadline_set(&a->deadlines, &s->deadline, io_now_ms() + SLOT_WAIT_MS);
	return ERR_OK;
}

/* Whether the password was found right lately, for one of the credentials: that one is the next then, else the first. */
static bool
is_remembered(struct session *s)
{
	struct login *l = s->login;

	for (l->next = 0; l->next < l->ncredentials; l->next++) {
		const struct registry_credential *c = &l->credentials[l->next];

		if (!l->barred[l->next] && remember_has(s->auth->remember, c->id, c->changed_us, l->password, l->job.password_len, io_now_ms()))
			return true;
	}
	l->next = 0;
	return false;
}

/* Many sessions of one user may wait with the same password; what a child has found for one of them serves all. */
static bool
settle(struct hash_job *job)
{
	struct session *s = job->owner;
	size_t turn = s->login->next;

	if (!is_remembered(s)) {
		s->login->next = turn;
		return false;
	}
	if (accept_login(s) != ERR_OK)
		session_end(s);
	return true;
}

/* Has the password compared with the credential whose turn it is, or with nobody's. */
static int
submit(struct session *s, bool again)
{
	struct login *l = s->login;

	l->job.hash = l->ncredentials != 0 ? l->credentials[l->next].hash : s->auth->dummy_hash;
	return hashers_submit(&s->auth->hashers, &l->job, again);
}

/* The password is right, but nobody may log in with it, or not from here: it goes on as with a wrong one. */
static void
note_barred(struct session *s)
{
	struct login *l = s->login;
	const struct registry_credential *c = &l->credentials[l->next];
	char peer[NETADDR_TEXT];

	l->reason = c->canary ? "canary" : "network";
	if (c->canary)
		log_event(LOG_LEVEL_ALARM, s->number, "credential.canary", "account", l->account.name, "credential", c->name, "peer",
		    netaddr_put(peer, &s->peer), NULL);
}

/* Nothing is known of the password then: it is not counted as a wrong one. */
static void
note_failure(struct session *s, int err)
{
	struct login *l = s->login;
	bool has_credential = l->ncredentials != 0;

	l->is_unclear = true;
	log_event(LOG_LEVEL_ERROR, s->number, "hash.failed", "account", has_credential ? l->account.name : NULL, "credential",
	    has_credential ? l->credentials[l->next].name : NULL, "reason", err == ERR_NOMEM ? "no memory to compute it" :
	    "crypt(3) does not know the method or form of the hash; give the credential a new password", NULL);
}

static void
hashed(struct hash_job *job, int result)
{
	struct session *s = job->owner;
	struct login *l = s->login;
	int err = ERR_OK;

	if (result == ERR_NOMEM || result == ERR_SYNTAX) {
		note_failure(s, result);
		result = 0;
	}
	if (result == 1 && l->ncredentials != 0 && l->barred[l->next]) {
		note_barred(s);
		result = 0;
	}
	if (result == 1 && l->ncredentials != 0) {
		const struct registry_credential *c = &l->credentials[l->next];

		remember_put(s->auth->remember, c->id, c->changed_us, l->password, l->job.password_len, io_now_ms(),
		    s->conf->conf.auth_remember);
		rehash_begin(s->auth, c, l->password, l->job.password_len, &s->peer);
		err = accept_login(s);
	} else if (result < 0) {
		err = refuse(s, LOGIN_UNAVAILABLE);
	} else if (l->next + 1 < l->ncredentials) {
		l->next++;
		if (submit(s, true) != ERR_OK)
			err = refuse(s, LOGIN_UNAVAILABLE);
	} else if (l->is_unclear) {
		refuse_late(s, LOGIN_UNAVAILABLE, 1);
	} else {
		fail_login(s, l->reason);
	}
	if (err != ERR_OK)
		session_end(s);
}

/* The name as given, for a log: cut, and without NUL. */
static void
put_user(char *to, size_t size, const uint8_t *user, size_t n)
{
	for (size_t i = 0; i < n && i + 1 < size; i++)
		to[i] = user[i] != 0 ? (char)user[i] : '?';
}

/*
 * Finds the credentials that the password may match; none when the login can't succeed (then reason says why). Errors are the
 * registry's.
 */
static int
identify(struct session *s, const struct ipc_login *m)
{
	struct login *l = s->login;
	struct registry *r = s->auth->registry;
	char name[REGISTRY_NAME_MAX];
	int err;

	l->reason = "unknown";
	if (m->user_len == 0 || str_copy(name, sizeof(name), m->user, m->user_len) != ERR_OK)
		return ERR_OK;
	if ((err = registry_find_account(r, name, &l->account)) != ERR_OK)
		return err == ERR_NOTFOUND ? ERR_OK : err;
	l->reason = "disabled";
	if (l->account.disabled)
		return ERR_OK;
	l->reason = "authzid";
	if (m->authzid_len != 0 &&
	    !str_is_equal_nocase(m->authzid, m->authzid_len, l->account.name, strlen(l->account.name)))
		return ERR_OK;
	l->reason = "password";
	if (m->password_len == 0 || str_copy(l->password, sizeof(l->password), m->password, m->password_len) != ERR_OK)
		return ERR_OK;
	l->job.password_len = m->password_len;
	if ((l->credentials = calloc(REGISTRY_CREDENTIALS_MAX, sizeof(*l->credentials))) == NULL)
		return ERR_NOMEM;
	return registry_list_credentials(r, l->account.id, l->credentials, REGISTRY_CREDENTIALS_MAX, &l->ncredentials);
}

/* What has expired, and what has no password, is not tried; what is barred is, so that its time tells nothing. */
static int
sort_credentials(struct session *s)
{
	struct login *l = s->login;
	uint64_t now_us = io_now_us();
	size_t kept = 0;

	for (size_t i = 0; i < l->ncredentials; i++) {
		const struct registry_credential *c = &l->credentials[i];
		int err = ERR_OK;

		if (c->expires_us != 0 && c->expires_us <= now_us)
			l->reason = "password_or_expired";
		if (c->kind == CREDENTIAL_LOCAL || (c->expires_us != 0 && c->expires_us <= now_us))
			continue;
		if (c->scoped[SCOPE_NETWORK] &&
		    (err = registry_check_network(s->auth->registry, c->id, &s->peer)) != ERR_OK && err != ERR_DENIED)
			return err;
		l->barred[kept] = c->canary || err == ERR_DENIED;
		l->credentials[kept++] = *c;
	}
	l->ncredentials = kept;
	return ERR_OK;
}

static int
begin(struct session *s, const struct ipc_login *m)
{
	struct login *l = s->login;
	struct auth *a = s->auth;
	const char *obstacle;
	int err;

	put_user(l->user, sizeof(l->user), m->user, m->user_len);
	if ((err = identify(s, m)) != ERR_OK || (err = sort_credentials(s)) != ERR_OK) {
		auth_log_trouble(a, err);
		return refuse(s, LOGIN_UNAVAILABLE);
	}
	obstacle = obstacle_find(s);
	/* A password that is known to be right is no guess. */
	if (obstacle != NULL && !(strcmp(obstacle, "throttled") == 0 && is_remembered(s))) {
		log_login(s, LOG_LEVEL_WARNING, "login.refused", NULL, l->user, obstacle);
		refuse_late(s, LOGIN_THROTTLED, 1);
		return ERR_OK;
	}
	if (is_remembered(s))
		return accept_login(s);
	l->job.settle = settle;
	l->job.password = l->password;
	l->job.waiting.client = s->peer;
	l->job.waiting.known = l->known;
	l->job.done = hashed;
	l->job.owner = s;
	if ((err = submit(s, false)) == ERR_OK)
		return ERR_OK;
	auth_log_full(a);
	return refuse(s, LOGIN_UNAVAILABLE);
}

static int
begin_local(struct session *s)
{
	int err;

	if ((err = login_local_identify(s)) != ERR_OK) {
		auth_log_trouble(s->auth, err);
		return refuse(s, LOGIN_UNAVAILABLE);
	}
	return s->login->ncredentials != 0 ? accept_login(s) : refuse_local(s, s->login->reason);
}

int
login_request(struct session *s, struct wire_in *body)
{
	struct ipc_login m;
	int err;

	if ((err = ipc_get_login(body, &m)) != ERR_OK)
		return err;
	/* A worker asks so on the local socket, and nowhere else. */
	if ((m.mechanism == MECHANISM_LOCAL) != (s->listener == LISTENER_LOCAL))
		return ERR_DENIED;
	s->state = IPC_STATE_WAITING;
	if (s->auth->stopping || !link_is_up(s->auth) || (s->login = calloc(1, sizeof(*s->login))) == NULL)
		return refuse(s, LOGIN_UNAVAILABLE);
	s->login->started_ms = io_now_ms();
	s->login->mechanism = m.mechanism;
	return m.mechanism == MECHANISM_LOCAL ? begin_local(s) : begin(s, &m);
}
