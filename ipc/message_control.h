#ifndef IPC_MESSAGE_CONTROL_H
#define IPC_MESSAGE_CONTROL_H

#include "ipc.h"
#include "metric.h"

/*
 * The messages of the master's control socket (run/control, a connection a question), and what auth and spool tell
 * the master for it. One question is answered before the next may come. IPC_CONTROL_SESSIONS, _STATUS, _METRICS, _RELOAD, _RESUME
 * and _DRAIN have no fields: ipc_put_empty().
 */

#define IPC_CONTROL_FILE "control"	/* in the instance's run_dir */
#define IPC_SERVICES_MAX 8		/* services that a status names */

/* auth -> master: whose session it is, from now on. */
struct ipc_session_account {
	uint64_t	session;
	char		name[IPC_TEXT_MAX];
};
void	ipc_put_session_account(struct wire_out *w, const struct ipc_session_account *m);
int	ipc_get_session_account(struct wire_in *w, struct ipc_session_account *m);

/*
 * Some of enum metric, from `first` on. IPC_COUNTERS, auth or spool -> master: what came to each since the last one.
 * IPC_CONTROL_METRICS_ANSWER: all of them.
 */
struct ipc_counters {
	uint16_t	first, n;	/* first + n is at most METRIC_COUNT */
	uint64_t	values[METRIC_COUNT];
};
void	ipc_put_counters(struct wire_out *w, enum ipc_kind kind, const struct ipc_counters *m);
int	ipc_get_counters(struct wire_in *w, struct ipc_counters *m);

enum session_tls { SESSION_TLS_NO, SESSION_TLS_YES, SESSION_TLS_UNKNOWN };
struct ipc_control_session {		/* one row of the answer to IPC_CONTROL_SESSIONS */
	uint64_t		session;	/* 0: that was all, the other fields are empty */
	struct netaddr		peer;
	enum listener_kind	listener;
	enum session_tls	tls;		/* on a listener with STARTTLS it is known only from the login on */
	bool			ending;		/* was told to end */
	uint64_t		age_ms;
	char			account[IPC_TEXT_MAX];	/* "" before the login */
};
void	ipc_put_control_session(struct wire_out *w, const struct ipc_control_session *m);
int	ipc_get_control_session(struct wire_in *w, struct ipc_control_session *m);

struct ipc_control_kill {
	uint64_t	session;		/* 0: by account */
	char		account[IPC_TEXT_MAX];
};
void	ipc_put_control_kill(struct wire_out *w, const struct ipc_control_kill *m);
int	ipc_get_control_kill(struct wire_in *w, struct ipc_control_kill *m);

struct ipc_control_pause {
	char	reason[IPC_TEXT_MAX];		/* for the log and `status`; clients are not told */
};
void	ipc_put_control_pause(struct wire_out *w, const struct ipc_control_pause *m);
int	ipc_get_control_pause(struct wire_in *w, struct ipc_control_pause *m);

/* The answer to KILL, RELOAD, PAUSE, RESUME and DRAIN. */
struct ipc_control_done {
	uint8_t		code;			/* sysexits(3) */
	uint32_t	count;			/* sessions that it is about */
	char		reason[IPC_REASON_MAX];	/* "" when the code is 0 */
};
void	ipc_put_control_done(struct wire_out *w, enum ipc_kind kind, const struct ipc_control_done *m);
int	ipc_get_control_done(struct wire_in *w, struct ipc_control_done *m);

struct ipc_control_status {
	uint32_t	pid;
	uint64_t	uptime_ms, loaded_ms;	/* since the start, since the configuration was put in force */
	uint32_t	sessions, refusing, idle;	/* served, told why not, spare workers */
	uint64_t	max, spare;		/* workers.max, workers.spare */
	bool		accepting;		/* false: clients wait, since a service or a worker is missing */
	bool		paused, draining;
	char		reason[IPC_TEXT_MAX];	/* of the pause */
	uint8_t		nservices;
	struct {
		char		name[16];
		uint32_t	pid;		/* 0: it is not there now */
		bool		ready;
		uint64_t	restarts;
	}		services[IPC_SERVICES_MAX];
};
void	ipc_put_control_status(struct wire_out *w, const struct ipc_control_status *m);
int	ipc_get_control_status(struct wire_in *w, struct ipc_control_status *m);

#endif
