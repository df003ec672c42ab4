#ifndef TESTS_FAULTS_RIG_H
#define TESTS_FAULTS_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LIT(s) (s), sizeof(s) - 1	/* a text with all its octets, NUL too */
#define ALICE "alice@example.org"
#define BOB "bob@example.org"
#define CAROL "carol@example.org"
#define RECIPIENTS_MAX 5		/* limits.recipients, limits.message_size of the configuration under test */
#define MESSAGE_MAX 200000
#define ENDED (-100)			/* the service has closed the session's socket */
#define SILENT (-101)			/* it has not answered in time */

enum service_id { AUTH, KEYS, SPOOL, SERVICES };

/* A taken-over worker: its number and the ends that it holds; -1: none. */
struct session {
	uint64_t	number;
	int		auth, keys, spool;
	uint32_t	t;		/* of the last sender that was approved */
};

struct rig {
	const char	*root, *build;
	char		 password[64];
	pid_t		 pids[SERVICES];
	int		 control[SERVICES];
	uint64_t	 next_number;
	unsigned	 stored;	/* messages that may be in the spool: not one more */
	struct session	 witness;	/* bob's, who does nothing wrong, open all the time */
};
extern struct rig rig;
extern struct wire_out out;		/* the message that is being written */

/* Starts the three services on the instance, links them, and logs the witness in. Ends the process on an error. */
void	rig_start(const char *root, const char *build, const char *password);
/* Closes what the master would close: every service must end by itself, with exit status 0. */
void	rig_stop(void);
/* Runs smtpadm with this noun, verb and argument. */
void	rig_admin(const char *noun, const char *verb, const char *argument, const char *input);

/* An act that attacks; afterwards services live, the witness is served, and nothing is stored that must not be. */
void	act(const char *name, void (*run)(void));
/* How many acts failed so far. */
unsigned act_failures(void);
/* Only names what it is given, or runs the one with this name; NULL: all. */
void	act_select(bool only_names, const char *name);
/* Notes a failure of the act. */
void	check(bool holds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sessions. rig_login() answers the verdict, ENDED or SILENT. */
void	session_begin(struct session *s);
int	session_login(struct session *s, const char *user, const char *password);
void	session_open(struct session *s, const char *user);	/* both; must succeed */
void	session_close(struct session *s);

/* Sending: the message in `out`, or any octets with n descriptors. False: the other side has gone or is full. */
struct wire_out *begin(void);
bool	send_out(int fd);
bool	send_octets(int fd, const void *p, size_t n, unsigned nfds);

/* The next message within ms: ERR_OK, ENDED, SILENT. */
int	hear(int fd, enum ipc_channel channel, struct ipc_message *m, int ms);
/* The socket must end without another word. */
void	expect_ended(int fd, const char *what);
/* The same, but answers may come before: how many. */
unsigned expect_ended_after_answers(int fd, const char *what);
/* Nothing comes and nothing ends. */
void	expect_open(int fd, const char *what);

/* The worker's questions, with any octets as fields. The verdict, ENDED or SILENT. */
int	ask_sender(struct session *s, const char *address);
int	ask_sender_as(struct session *s, const void *address, size_t n, bool smtputf8, const void *envid,
	    size_t envid_len);
int	ask_recipient(struct session *s, const char *address);
int	ask_recipient_as(struct session *s, const void *address, size_t n, uint8_t notify,
	    const void *orcpt, size_t orcpt_len);
bool	approve(struct session *s, const char *sender, const char *recipient);
void	tell_open(struct session *s, uint32_t t);
void	tell_data(struct session *s, const void *p, size_t n);
void	tell_commit(struct session *s, uint32_t t, uint64_t size);
void	tell_empty(int fd, enum ipc_kind kind);
int	hear_commit(struct session *s);
int	ask_outcome(struct session *s, uint32_t t);	/* 1, 0: stored or not */
int	ask_spool(struct session *s);			/* a new socket in s->spool if 1 */
/* OPEN, DATA, COMMIT of t. */
int	give(struct session *s, uint32_t t, const void *text, size_t n);

/* Files in a folder of the spool. */
unsigned count_files(const char *folder);

/* A well-formed message of any kind, with what an attacker would like it to say. */
void	put_any(enum ipc_kind kind);
/* Every number that is a kind or may become one; its name for reports. */
#define KINDS 0xc0
enum ipc_kind kind_at(size_t i);
const char *kind_text(enum ipc_kind kind);

/* The acts. */
void	attack_before_login(void);
void	attack_user(void);
void	attack_spool(void);
void	attack_keys(void);
void	attack_at_random(void);

#endif
