/*
 * HUP: parse, check, open, then switch; a failure at any step keeps the old state. Run by the master. Running sessions
 * are never touched: they have copies of what they began with.
 */
#include "master.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "log.h"

/* What only a restart can change. */
static const char *
unchangeable(const struct conf *now, const struct conf *next)
{
	if (strcmp(now->spool_path, next->spool_path) != 0)
		return "spool.path";
	if (now->users_base != next->users_base)
		return "users.base";
	return NULL;
}

void
reload_abort(struct master *m, const char *why)
{
	log_error("config.rejected", "reason", why, "state", "the old configuration stays in force", NULL);
	if (m->reloading) {
		services_drop_next_keys(m);
		setup_free(&m->next);
	}
	m->reloading = false;
}

void
reload_commit(struct master *m)
{
	char why[1024];

	if (setup_fit_limits(&m->next, why, sizeof(why)) != ERR_OK ||
	    listeners_switch(m, &m->next.conf, why, sizeof(why)) != ERR_OK) {
		reload_abort(m, why);
		return;
	}
	if (setup_needs_tls(&m->next))
		services_take_next_keys(m);
	setup_free(&m->setup);
	m->setup = m->next;
	m->next = (struct setup){ .text = NULL };
	m->reloading = false;
	log_open("posternd", (enum log_level)m->setup.conf.log_level);
	services_tell_conf(m);
	pool_drop_idle(m);
	pool_fill(m);
	log_info("config.loaded", "file", m->in.conf_file, NULL);
}

void
reload_begin(struct master *m)
{
	char why[1024];
	const char *name;

	if (m->reloading) {
		log_error("config.rejected", "reason", "another reload is under way", NULL);
		return;
	}
	if (setup_load(&m->in, &m->next, why, sizeof(why)) != ERR_OK) {
		reload_abort(m, why);
		return;
	}
	m->reloading = true;
	if ((name = unchangeable(&m->setup.conf, &m->next.conf)) != NULL) {
		snprintf(why, sizeof(why), "%s can't change while the service runs: restart posternd for that", name);
		reload_abort(m, why);
	} else if (!setup_needs_tls(&m->next)) {
		reload_commit(m);
	} else if (services_start_next_keys(m, &m->next) != ERR_OK && m->reloading) {
		reload_abort(m, "postern-keys could not be started");
	}
}
