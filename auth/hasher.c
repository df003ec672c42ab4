/*
 * A hashing child: takes a password and a hash, computes, says whether they match; or makes a hash. Forked from
 * postern-auth before the registry is open; sandboxed so that it can do nothing else. Invariant: it
 * holds one socket, and wipes every password.
 */
#include "hashers.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "ipc.h"
#include "mem.h"
#include "password.h"
#include "sandbox.h"

static int
answer(int fd, const struct ipc_hash_answer *m)
{
	uint8_t data[HASHERS_ANSWER_MAX];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_hash_answer(&w, m);
	return ipc_send(fd, &w, NULL, 0, true);
}

static enum hash_verdict
verdict_of(int err)
{
	switch (err) {
	case ERR_OK:
		return HASH_MATCHES;
	case ERR_NOMEM:
		return HASH_NO_MEMORY;
	case ERR_SYSTEM:
		return HASH_UNKNOWN;
	default:
		return HASH_DIFFERS;
	}
}

/* The master's socket, those of the other children, all that was open for the start. */
static int
close_others(int fd)
{
	if ((fd > 3 && close_range(3, (unsigned)fd - 1, 0) != 0) || close_range((unsigned)fd + 1, ~0U, 0) != 0)
		return ERR_SYSTEM;
	return ERR_OK;
}

void
hasher_run(int fd, const struct sandbox *sandbox)
{
	static uint8_t data[IPC_SMALL_MAX];
	struct ipc_message message;
	struct ipc_hash_answer ready = { .verdict = HASH_MATCHES };
	struct ipc_hash question;
	uint32_t parts;
	int err;

	/* The first answer says that the sandbox is closed; its number is the parts in force. */
	if (sandbox_demote(sandbox, &parts) != ERR_OK || close_others(fd) != ERR_OK ||
	    sandbox_seal(sandbox, &parts) != ERR_OK || (ready.job = parts, answer(fd, &ready)) != ERR_OK)
		_exit(EX_OSERR);
	while (ipc_recv(fd, IPC_HASHER_FROM_AUTH, data, sizeof(data), true, &message) == ERR_OK) {
		struct ipc_hash_answer m = { .hash = "" };

		if (ipc_get_hash(&message.body, &question) != ERR_OK)
			_exit(EX_SOFTWARE);
		if (question.hash[0] != 0)
			err = password_check((const char *)question.password, question.password_len, question.hash);
		else
			err = password_hash((const char *)question.password, question.password_len, m.hash);
		m.verdict = verdict_of(err);
		m.job = question.job;
		mem_wipe(data, sizeof(data));
		mem_wipe(&question, sizeof(question));
		if (answer(fd, &m) != ERR_OK)
			break;
	}
	_exit(EX_OK);
}
