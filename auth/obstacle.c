/*
 * What stands between a client and trying a password: the admin's bans, and the wrong ones of its network before. Part of
 * postern-auth. Invariant: what one network guesses never keeps an account from those where it is at home.
 */
#include <string.h>

#include "io.h"
#include "log.h"
#include "login.h"
#include "remember.h"
#include "session.h"
#include "throttle.h"

#define BANNED_WAIT_SECONDS 3600	/* what a banned client is told; it is refused as long as the admin wants */
#define KNOWN_FOR_US (30 * 86400 * 1000000ULL)	/* how long a network that was written down counts as known */

static struct throttle_rule
rule_of(const struct session *s)
{
	return (struct throttle_rule){ s->conf->conf.auth_throttle_after, s->conf->conf.auth_throttle_time };
}

/*
 * Whether the same wrong password came before: a program that was not told the new one tries the old one again and again,
 * which is no guessing. Takes note of it.
 */
static bool
is_repeated(struct session *s, uint64_t now, uint64_t lifetime_ms)
{
	const struct login *l = s->login;
	struct remember *wrong = s->auth->wrong;

	if (l->account.id == 0 || l->password[0] == 0)
		return false;
	if (remember_has(wrong, l->account.id, 0, l->password, l->job.password_len, now))
		return true;
	remember_put(wrong, l->account.id, 0, l->password, l->job.password_len, now, lifetime_ms);
	return false;
}

unsigned
obstacle_count_wrong(struct session *s)
{
	struct throttle_rule rule = rule_of(s);
	struct login *l = s->login;
	struct auth *a = s->auth;
	uint64_t now = io_now_ms();
	struct netmask network = throttle_network(&s->peer);
	char text[NETADDR_TEXT];

	if (l->spared)
		return 1;
	if (l->known && is_repeated(s, now, rule.time_ms))
		return throttle_slowness(a->pairs, l->account.id, &s->peer, now, &rule);
	if (throttle_note_wrong(a->networks, 0, &s->peer, now, &rule))
		log_event(LOG_LEVEL_WARNING, s->number, "login.throttled", "network", netmask_put(text, &network), NULL);
	if (!l->known)
		return throttle_slowness(a->networks, 0, &s->peer, now, &rule);
	throttle_note_wrong(a->pairs, l->account.id, &s->peer, now, &rule);
	return throttle_slowness(a->pairs, l->account.id, &s->peer, now, &rule);
}

/* Whether the account has logged in from the client's network: since the start, or as is written with a credential. */
static bool
is_known(const struct session *s)
{
	const struct login *l = s->login;
	struct netmask network = throttle_network(&s->peer);
	uint64_t now_us = io_now_us();
	char text[NETADDR_TEXT];

	if (l->account.id == 0)
		return false;
	if (throttle_is_known(s->auth->pairs, l->account.id, &s->peer))
		return true;
	netmask_put(text, &network);
	for (size_t i = 0; i < l->ncredentials; i++)
		if (l->credentials[i].used_us + KNOWN_FOR_US > now_us && strcmp(l->credentials[i].used_network, text) == 0)
			return true;
	return false;
}

const char *
obstacle_find(struct session *s)
{
	struct login *l = s->login;
	struct auth *a = s->auth;
	uint64_t wait, now = io_now_ms();

	switch (bans_judge(&a->bans, &s->peer, io_now_us())) {
	case BAN_REFUSED:
		s->wait_seconds = BANNED_WAIT_SECONDS;
		return "banned";
	case BAN_ALLOWED:
		l->spared = l->known = true;
		return NULL;
	case BAN_NONE:
		break;
	}
	if ((l->known = is_known(s)))
		wait = throttle_wait(a->pairs, l->account.id, &s->peer, now);
	else
		wait = throttle_wait(a->networks, 0, &s->peer, now);
	if (wait == 0 || s->conf->conf.auth_throttle_after == 0)
		return NULL;
	s->wait_seconds = (uint32_t)((wait + 999) / 1000);
	return "throttled";
}
