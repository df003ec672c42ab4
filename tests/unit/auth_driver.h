#ifndef UNIT_AUTH_DRIVER_H
#define UNIT_AUTH_DRIVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "unit.h"

#include "instance.h"
#include "ipc.h"
#include "registry.h"

#define DELAY 400	/* auth.failure_delay, milliseconds */

/* alice@example.org has the password "secret"; bob@example.org has "hidden" twice and "pass2". */
struct driver {
	char			folder[64], log[96];
	struct instance		in;
	struct instance_ids	ids;
	struct registry		*registry;
	uint64_t		alice, bob;
	pid_t			pid;
	int			control, link;	/* the master's and the spool's ends */
	uint64_t		next_session;	/* the number of the last one that was begun */
	int			expected_exit;
};

extern struct driver driver;
extern uint8_t data[IPC_SMALL_MAX], received[IPC_SMALL_MAX];	/* of the message that is sent, that came */
extern struct wire_out out;

int	driver_set_up(void **state);
int	driver_tear_down(void **state);

/* An empty message to be put and sent, with a descriptor unless that is -1. */
struct wire_out *begin(void);
void	send_out(int fd, int passed);

/* The next datagram within ms, ERR_TIMEOUT when there is none; one of this kind within 5 s. */
int	receive_within(int fd, enum ipc_channel channel, struct ipc_message *m, int ms);
void	receive(int fd, enum ipc_channel channel, enum ipc_kind kind, struct ipc_message *m);
void	expect_silence(int fd);
void	expect_end(int fd);

int	make_memory(const char *text);
void	make_link(void);
int	begin_session(void);
int	begin_session_at(const char *peer);
int	begin_local_session(uid_t uid);

void	ask_login_as(int fd, const char *authzid, const char *user, const char *password);
/* The verdict; the spool's socket through spool (or closed). */
enum login_verdict take_login(int fd, int *spool);
/* The grant at the spool; its socket is returned. */
int	take_grant(uint64_t session, uint64_t account);
/* A session that is logged in, with the spool's ends closed. */
int	log_in(const char *user, const char *password, uint64_t account);

enum sender_verdict sender(int fd, const char *address, uint64_t size, uint32_t *number);
enum recipient_verdict recipient(int fd, const char *address);
void	expect_envelope_sender(uint64_t session, uint32_t number, const char *address);
void	expect_envelope_recipient(uint64_t session, uint32_t number, const char *address);
void	expect_drop(uint64_t session, uint32_t number);
/* What auth tells the spool of a message of transaction t with so many addresses in From as are not NULL. */
enum header_verdict judge_from(uint64_t session, uint32_t t, const char *one, const char *two);

bool	log_has(const char *text);

#endif
