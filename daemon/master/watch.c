/*
 * Watching the files of certificates and keys: a stat of each now and then, which sees through links as certbot makes them.
 * Run by the master as it was started; it reads no key. Invariant: what is in force stays in force until postern-keys has proved
 * every pair anew.
 */
#include "watch.h"

#include "io.h"
#include "log.h"
#include "master.h"
#include "str.h"
#include "tls.h"

#define SETTLE_MS 2000		/* files that change are given this long to go on changing */
#define DAY_MS 86400000ULL
#define DAY_S 86400
#define WARN_DAYS 14

void
watch_expiry(struct master *m)
{
	int64_t now = (int64_t)(io_now_us() / 1000000);
	struct conf_pair pair;

	m->watch.expiry_ms = io_now_ms() + DAY_MS;
	for (size_t i = 0; i < m->setup.ntls && conf_pair(&m->setup.conf, i, &pair); i++) {
		int64_t left = tls_expiry(m->setup.tls, i) - now;
		char days[24];

		if (left >= WARN_DAYS * DAY_S)
			continue;
		log_event(left > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, 0,
		    left > 0 ? "certificate.expires" : "certificate.expired", "file", pair.certificate,
		    "days_left", left > 0 ? str_put_u64(days, (uint64_t)left / DAY_S) : NULL,
		    "fix", "renew it; smtpadm tls reload puts it in place", NULL);
	}
}

void
watch_soon(struct master *m)
{
	m->watch.tried = 0;
	m->watch.next_ms = 0;
}

static void
look(struct master *m, uint64_t now_ms)
{
	uint64_t interval = m->setup.conf.tls_watch_interval, files = setup_files(&m->in, &m->setup.conf);
	struct watch *w = &m->watch;

	w->next_ms = now_ms + interval;
	if (files == m->setup.files || files == w->tried) {
		w->seen = 0;
	} else if (files != w->seen) {
		w->seen = files;
		if (interval > SETTLE_MS)
			w->next_ms = now_ms + SETTLE_MS;
	} else {
		w->seen = 0;
		w->tried = files;
		reload_certificates(m);
	}
}

int
watch_tick(struct master *m, uint64_t now_ms)
{
	struct watch *w = &m->watch;
	uint64_t next;

	if (m->setup.ntls == 0 || m->stopping)
		return -1;
	if (now_ms >= w->expiry_ms)
		watch_expiry(m);
	if (m->setup.conf.tls_watch && !m->reloading && now_ms >= w->next_ms)
		look(m, now_ms);
	next = m->setup.conf.tls_watch && !m->reloading && w->next_ms < w->expiry_ms ? w->next_ms : w->expiry_ms;
	return next > now_ms ? (int)(next - now_ms) : 0;
}
