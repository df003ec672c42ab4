/*
 * HUP: parse, check, open, then switch; a failure at any step keeps the old state. Run by the master. Running sessions
 * are never touched: they have copies of what they began with.
 */
#include "master.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "activation.h"
#include "err.h"
#include "io.h"
#include "log.h"
#include "notify.h"

/* What only a restart can change. */
static const char *
unchangeable(const struct conf *now, const struct conf *next)
{
	if (strcmp(now->spool_path, next->spool_path) != 0)
		return "spool.path";
	if (now->users_base != next->users_base)
		return "users.base";
	if (now->log_target != next->log_target)
		return "log.target";
	return NULL;
}

static void
finish(struct master *m, const char *status)
{
	m->reloading = false;
	notify_ready(status);
}

/* Not from finish(): what called that may still be at work on what has ended. */
void
reload_continue(struct master *m)
{
	if (m->reload_again && !m->reloading) {
		m->reload_again = false;
		reload_begin(m);
	}
}

void
reload_abort(struct master *m, const char *why)
{
	char status[1100];

	if (m->reload_is_ours)
		log_event(LOG_LEVEL_WARNING, 0, "certificate.rejected", "reason", why,
		    "state", "the old certificates stay in force until the files change again", NULL);
	else
		log_error("config.rejected", "reason", why, "state", "the old configuration stays in force", NULL);
	if (m->reloading) {
		services_drop_next(m);
		setup_free(&m->next);
	}
	m->metrics[METRIC_RELOADS_REJECTED]++;
	control_tell_reload(m, EX_CONFIG, why);
	snprintf(status, sizeof(status), "Serving with the old %s: %s", m->reload_is_ours ? "certificates" : "configuration", why);
	finish(m, status);
}

void
reload_commit(struct master *m)
{
	char why[1024];

	if (setup_fit_limits(&m->next, why, sizeof(why)) != ERR_OK ||
	    (!m->draining && listeners_switch(m, &m->next.conf, why, sizeof(why)) != ERR_OK)) {
		reload_abort(m, why);
		return;
	}
	setup_free(&m->setup);
	m->setup = m->next;
	m->next = (struct setup){ .text = NULL };
	log_configure((enum log_level)m->setup.conf.log_level, (enum log_format)m->setup.conf.log_format);
	/* Spool hears of new routes before it hears of the relay that knows them. */
	if (!m->reload_is_ours)
		services_tell_conf(m);
	services_take_next(m);
	pool_drop_idle(m);
	pool_fill(m);
	if (m->reload_is_ours)
		log_info("certificate.loaded", "reason", "its files have changed", NULL);
	else
		log_info("config.loaded", "file", m->in.conf_file, NULL);
	watch_expiry(m);
	m->loaded_ms = io_now_ms();
	m->metrics[METRIC_RELOADS_OK]++;
	control_tell_reload(m, EX_OK, "");
	activation_log_unused();
	finish(m, "Serving");
}

/* For changed certificates keys alone; for a new configuration all that it needs. They answer; none: it is in force. */
static void
start_next(struct master *m)
{
	m->reloading = true;
	if (setup_needs_keys(&m->next) && services_start_next(m, NEXT_KEYS, &m->next) != ERR_OK && m->reloading)
		reload_abort(m, "postern-keys could not be started");
	if (m->reloading && !m->reload_is_ours && services_needs(&m->next, SERVICE_RELAY) &&
	    services_start_next(m, NEXT_RELAY, &m->next) != ERR_OK && m->reloading)
		reload_abort(m, "postern-relay could not be started");
	if (m->reloading && services_next_are_ready(m))
		reload_commit(m);
}

void
reload_begin(struct master *m)
{
	char why[1024];
	const char *name;

	if (m->reloading) {
		m->reload_again = true;
		return;
	}
	m->reload_is_ours = false;
	notify_reloading();
	if (setup_load(&m->in, &m->next, why, sizeof(why)) != ERR_OK) {
		reload_abort(m, why);
		return;
	}
	m->reloading = true;
	if ((name = unchangeable(&m->setup.conf, &m->next.conf)) != NULL) {
		snprintf(why, sizeof(why), "%s can't change while the service runs: restart posternd for that", name);
		reload_abort(m, why);
	} else {
		start_next(m);
	}
}

void
reload_certificates(struct master *m)
{
	char why[1024];

	m->reload_is_ours = true;
	if (setup_load_again(&m->in, &m->setup, &m->next, why, sizeof(why)) == ERR_OK)
		start_next(m);
	else
		reload_abort(m, why);
}
