/*
 * Frames with errors in them, of a fixed seed, against every service: nothing comes of them, and no memory stays
 * behind. Run by the tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "io.h"
#include "rig.h"

#define FRAMES 20000
#define WARM_UP 1000		/* frames before memory is measured: heaps and caches have their size then */
#define GROWN_MAX_KIB 4096

static uint64_t state = 0x706f737465726eULL;

static uint32_t
chance(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static unsigned
resident_kib(pid_t pid)
{
	char path[32], line[256];
	unsigned kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = (unsigned)strtoul(line + 6, NULL, 10);
	fclose(f);
	return kib;
}

/* A message of these kinds or of any kind, with a few octets changed, cut off, or added. */
static void
make_frame(const enum ipc_kind *likely, size_t n)
{
	static const uint8_t telling[] = { 0, 1, 2, 0x7f, 0x80, 0xff, '\r', '\n', ' ', '@', '"', '\\', '<', '>' };

	put_any(chance(4) != 0 ? likely[chance((uint32_t)n)] : kind_at(chance(KINDS)));
	for (uint32_t changes = 1 + chance(4); changes != 0; changes--) {
		uint32_t at = chance((uint32_t)out.len + 1);

		switch (chance(5)) {
		case 0:
			out.data[at] ^= (uint8_t)(1 << chance(8));
			break;
		case 1:
			out.data[at] = telling[chance(sizeof(telling))];
			break;
		case 2:
			out.len = at;
			break;
		case 3:
			memmove(out.data + at + 1, out.data + at, out.len - at);
			out.data[at] = telling[chance(sizeof(telling))];
			out.len++;
			break;
		default:
			for (uint32_t more = chance(1 << chance(12)); more != 0; more--)
				out.data[out.len++] = (uint8_t)chance(256);
			break;
		}
	}
}

static bool
is_ended(int fd)
{
	struct ipc_message m;
	int err;

	while ((err = hear(fd, IPC_WORKER_FROM_AUTH, &m, 0)) == ERR_OK)
		ipc_message_close(&m);
	return err == ENDED;
}

/* A frame to a session of its own, which its worker leaves at once: the frame is read all the same. */
static void
strike_anonymous(void)
{
	static const enum ipc_kind to_keys[] = { IPC_SIGN };
	/* No LOGIN but one in 150: each costs a hash. */
	static const enum ipc_kind to_auth[] = { IPC_SENDER, IPC_RECIPIENT, IPC_RESET, IPC_SPOOL };
	struct session s;

	session_begin(&s);
	make_frame(to_auth, COUNT(to_auth));
	send_octets(s.auth, out.data, out.len, chance(16) == 0);
	make_frame(to_keys, COUNT(to_keys));
	send_octets(s.keys, out.data, out.len, chance(16) == 0);
	session_close(&s);
}

/* Frames from a session with a login, which is opened again when it was ended. Nothing is committed. */
static void
strike_user(struct session *s)
{
	static const enum ipc_kind to_auth[] = { IPC_SENDER, IPC_RECIPIENT, IPC_RESET, IPC_SENDER, IPC_RECIPIENT };
	static const enum ipc_kind to_spool[] = { IPC_OPEN, IPC_DATA, IPC_DATA, IPC_ABORT, IPC_OUTCOME };

	if (s->auth < 0 || is_ended(s->auth) || is_ended(s->spool)) {
		session_close(s);
		session_open(s, ALICE);
		approve(s, ALICE, "rcpt@example.net");
		tell_open(s, s->t);
	}
	if (chance(2) == 0) {
		make_frame(to_auth, COUNT(to_auth));
		send_octets(s->auth, out.data, out.len, chance(64) == 0);
	} else {
		make_frame(to_spool, COUNT(to_spool));
		send_octets(s->spool, out.data, out.len, chance(64) == 0);
	}
}

static void
at_random(void)
{
	struct session users[16];
	unsigned before[SERVICES] = { 0 };

	for (size_t i = 0; i < COUNT(users); i++)
		users[i] = (struct session){ .auth = -1, .keys = -1, .spool = -1 };
	for (int sent = 0; sent < FRAMES; sent += 4) {
		if (sent == WARM_UP)
			for (int id = 0; id < SERVICES; id++)
				before[id] = resident_kib(rig.pids[id]);
		strike_anonymous();	/* two frames */
		strike_user(&users[chance(COUNT(users))]);
		strike_user(&users[chance(COUNT(users))]);
	}
	for (size_t i = 0; i < COUNT(users); i++)
		session_close(&users[i]);
	for (int id = 0; id < SERVICES; id++) {
		unsigned now = resident_kib(rig.pids[id]);

		check(before[id] != 0 && now < before[id] + GROWN_MAX_KIB, "service %d has grown from %u to %u KiB", id,
		    before[id], now);
		fprintf(stderr, "attack: service %d: %u KiB, then %u\n", id, before[id], now);
	}
}

void
attack_at_random(void)
{
	act("random.frames", at_random);
}
