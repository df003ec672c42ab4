/*
 * From an accepted connection to a worker: the verdict, the session's number, the sockets to auth and keys, the hand-over.
 * Run by the master, which reads nothing from the client.
 */
#include "master.h"

#include <sys/socket.h>

#include "err.h"
#include "io.h"
#include "log.h"

static bool
may_use_listener(const struct conf_listener *l, const struct netaddr *peer)
{
	if (l->kind == LISTENER_PLAIN ? netaddr_is_loopback(peer) : l->nnetworks == 0)
		return true;
	for (size_t i = 0; i < l->nnetworks; i++)
		if (netaddr_is_in(peer, &l->networks[i]))
			return true;
	return false;
}

static const char *const refusals[] = {
	[PEER_SERVE] = NULL, [PEER_TOO_MANY] = "too_many", [PEER_OVERLOADED] = "overloaded", [PEER_CLOSED] = "closed",
	[PEER_BANNED] = "banned", [PEER_PAUSED] = "paused",
};

static enum peer_verdict
judge(struct master *m, const struct listener *l, const struct netaddr *peer, unsigned sessions)
{
	/* Bans and networks are no words about users of this machine. */
	if (l->conf.kind != LISTENER_LOCAL && clients_is_banned(&m->clients, peer, io_now_ms()))
		return PEER_BANNED;
	if (l->conf.kind != LISTENER_LOCAL && !may_use_listener(&l->conf, peer))
		return PEER_CLOSED;
	if (sessions == 0 || sessions > m->setup.conf.limits_sessions_per_address)
		return PEER_TOO_MANY;
	if (m->pool.nbusy - m->pool.nrefusing >= m->setup.conf.workers_max ||
	    !services_may_serve(m, l->conf.kind))
		return PEER_OVERLOADED;
	return PEER_SERVE;
}

/* A pair of which a service gets one end with the session's facts; the other stays in *fd for the worker. */
static int
connect_service(struct master *m, enum service_id id, const struct ipc_session *s, int *fd)
{
	uint8_t data[128];
	struct wire_out w;
	int fds[2], err;

	*fd = -1;
	if (ipc_pair(fds) != ERR_OK)
		return ERR_SYSTEM;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_session(&w, s);
	err = services_tell(m, id, &w, &fds[0]);
	io_close(&fds[0]);
	*fd = fds[1];
	return err;
}

static int
hand_over(struct master *m, const struct ipc_session *s, int client_fd)
{
	int fds[3] = { client_fd, -1, -1 };
	size_t nfds = s->listener == LISTENER_PLAIN || s->listener == LISTENER_LOCAL ? 2 : 3;
	int err = connect_service(m, SERVICE_AUTH, s, &fds[1]);

	if (err != ERR_OK)
		err = ERR_BUSY;
	if (nfds == 3 && m->services.process[SERVICE_KEYS].ready && connect_service(m, SERVICE_KEYS, s, &fds[2]) != ERR_OK)
		io_close(&fds[2]);
	/* A refusal needs no service; a session does, and the next connection may find it there again. */
	if (s->verdict != PEER_SERVE && fds[1] >= 0)
		err = ERR_OK;
	if (nfds == 3 && fds[2] < 0)
		nfds = 2;
	if (err == ERR_OK)
		err = pool_hand_over(m, s, fds, nfds);
	/* Once a worker has it, the worker's end counts the session out. */
	if (err != ERR_OK && err != ERR_CLOSED)
		clients_leave(&m->clients, &s->peer);
	io_close(&fds[1]);
	io_close(&fds[2]);
	return err;
}

void
dispatch_client(struct master *m, const struct listener *l, int client_fd, const struct netaddr *peer,
    const struct netaddr *local)
{
	unsigned sessions = clients_enter(&m->clients, peer);
	struct ipc_session s = {
		.session = ++m->session, .peer = *peer, .local = *local, .listener = l->conf.kind,
		.verdict = judge(m, l, peer, sessions),
	};
	enum metric refused = (enum metric)(METRIC_REFUSED_TOO_MANY + s.verdict - PEER_TOO_MANY);
	char text[NETADDR_TEXT];
	int err;

	if (s.verdict == PEER_SERVE && m->paused) {
		s.verdict = PEER_PAUSED;
		refused = METRIC_REFUSED_PAUSED;
	}
	if (s.verdict != PEER_SERVE && m->pool.nrefusing >= POOL_REFUSERS_MAX) {
		/* A flood: not even a word. */
		m->metrics[METRIC_REFUSED_FLOOD]++;
		if (sessions != 0)
			clients_leave(&m->clients, peer);
		io_close(&client_fd);
		return;
	}
	m->metrics[s.verdict == PEER_SERVE ? (enum metric)(METRIC_SESSIONS_SUBMISSION + s.listener) : refused]++;
	log_event(LOG_LEVEL_INFO, s.session, "session.begin", "peer", netaddr_put(text, peer), "listener", l->conf.name,
	    "refused", refusals[s.verdict], "reason", s.verdict == PEER_PAUSED ? m->unshared->pause.reason : NULL, NULL);
	if ((err = hand_over(m, &s, client_fd)) != ERR_OK)
		log_event(LOG_LEVEL_ERROR, s.session, "session.lost", "reason", err_text(err), NULL);
	io_close(&client_fd);
}
