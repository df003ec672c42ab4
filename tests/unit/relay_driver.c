/*
 * What plays postern-relay in the tests of postern-spool: it speaks the contract of message_relay.h and nothing else.
 */
#include "relay_driver.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "unit.h"

static uint8_t data[IPC_SMALL_MAX];

int
relay_link_silent(struct fixture *f)
{
	struct wire_out w;
	int pair[2];

	assert_int_equal(ipc_pair(pair), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_link(&w, LINK_RELAY);
	assert_int_equal(ipc_send(f->control, &w, &pair[1], 1, true), ERR_OK);
	close(pair[1]);
	return pair[0];
}

void
relay_ready(int link)
{
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_empty(&w, IPC_RELAY_READY);
	assert_int_equal(ipc_send(link, &w, NULL, 0, true), ERR_OK);
}

int
relay_link(struct fixture *f)
{
	int link = relay_link_silent(f);

	relay_ready(link);
	return link;
}

static bool
is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

bool
relay_next(int link, struct got *g, int ms)
{
	static struct ipc_deliver_recipient r;
	struct ipc_message m;

	if (!is_readable(link, ms))
		return false;
	assert_int_equal(ipc_recv(link, IPC_RELAY_FROM_SPOOL, data, sizeof(data), true, &m), ERR_OK);
	assert_int_equal(m.kind, IPC_DELIVER);
	assert_int_equal(ipc_get_deliver(&m.body, &g->deliver), ERR_OK);
	g->deliver.signatures = NULL;
	g->file = m.fds[0];
	g->socket = m.fds[1];
	g->n = g->deliver.nrecipients;
	for (size_t i = 0; i < g->n; i++) {
		assert_int_equal(ipc_recv(link, IPC_RELAY_FROM_SPOOL, data, sizeof(data), true, &m), ERR_OK);
		assert_int_equal(m.kind, IPC_DELIVER_RECIPIENT);
		assert_int_equal(ipc_get_deliver_recipient(&m.body, &r), ERR_OK);
		assert_int_equal(r.number, g->deliver.number);
		g->indexes[i] = r.index;
		g->notify[i] = r.recipient.notify;
		memcpy(g->addresses[i], r.recipient.address.text, sizeof(g->addresses[i]));
	}
	return true;
}

static void
fill(struct ipc_outcome_of *o, enum delivery_verdict verdict, uint16_t code, const char *reply)
{
	o->verdict = verdict;
	o->stage = DELIVERY_RCPT;
	o->code = code;
	snprintf(o->enhanced, sizeof(o->enhanced), "%d.%s", verdict == DELIVERY_DELIVERED ? 2 : verdict == DELIVERY_DEFERRED ? 4 : 5,
	    verdict == DELIVERY_DELIVERED ? "0.0" : "1.1");
	snprintf(o->reply, sizeof(o->reply), "%s", reply);
}

void
got_result(struct got *g, uint16_t index, enum delivery_verdict verdict, uint16_t code, const char *reply)
{
	struct ipc_result m = { .index = index };
	struct wire_out w;

	fill(&m.outcome, verdict, code, reply);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_result(&w, &m);
	ipc_send(g->socket, &w, NULL, 0, true);
}

void
got_finish_as(struct got *g, const struct ipc_finished *m)
{
	struct ipc_finished copy = *m;
	struct wire_out w;

	copy.number = g->deliver.number;
	wire_out_init(&w, data, sizeof(data));
	ipc_put_finished(&w, &copy);
	ipc_send(g->socket, &w, NULL, 0, true);
}

void
got_finish(struct got *g, enum delivery_verdict verdict, uint16_t code, const char *reply)
{
	struct ipc_finished m = { .host = "mx.example.net", .address = "192.0.2.9:25", .tls = "TLSv1.3 X" };

	fill(&m.outcome, verdict, code, reply);
	got_finish_as(g, &m);
}

void
got_close(struct got *g)
{
	io_close(&g->file);
	io_close(&g->socket);
}

bool
got_is_answered(struct got *g, int ms)
{
	struct ipc_delivery a;
	struct ipc_message m;

	if (!is_readable(g->socket, ms))
		return false;
	if (ipc_recv(g->socket, IPC_DELIVERY_FROM_SPOOL, data, sizeof(data), true, &m) != ERR_OK)
		return false;
	assert_int_equal(m.kind, IPC_FINISHED_ANSWER);
	assert_int_equal(ipc_get_delivery(&m.body, &a), ERR_OK);
	assert_int_equal(a.number, g->deliver.number);
	got_close(g);
	return true;
}

void
got_settle(struct got *g, enum delivery_verdict verdict, uint16_t code, const char *reply)
{
	got_finish(g, verdict, code, reply);
	assert_true(got_is_answered(g, 5000));
}

void
relay_underway(int link, struct got *g)
{
	struct ipc_underway m = { .number = g->deliver.number, .n = (uint16_t)g->n };
	struct wire_out w;
	int pair[2];

	memcpy(m.id, g->deliver.id, sizeof(m.id));
	memcpy(m.indexes, g->indexes, sizeof(m.indexes));
	assert_int_equal(ipc_pair(pair), ERR_OK);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_underway(&w, &m);
	assert_int_equal(ipc_send(link, &w, &pair[1], 1, true), ERR_OK);
	close(pair[1]);
	io_close(&g->socket);
	g->socket = pair[0];
}

char *
got_message(const struct got *g)
{
	char *text = malloc(g->deliver.sender.size + 1);

	assert_non_null(text);
	assert_int_equal(pread(g->file, text, g->deliver.sender.size, (off_t)g->deliver.offset), g->deliver.sender.size);
	text[g->deliver.sender.size] = 0;
	return text;
}

bool
fixture_has(const struct fixture *f, enum spool_folder folder, size_t n, int ms)
{
	for (int waited = 0; fixture_count(f, folder) != n; waited += 10) {
		if (waited >= ms)
			return false;
		usleep(10000);
	}
	return true;
}

size_t
fixture_states(const struct fixture *f)
{
	char path[PATH_MAX];
	struct dirent *e;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.200s/state", f->spool);
	assert_non_null(dir = opendir(path));
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

bool
fixture_has_states(const struct fixture *f, size_t n, int ms)
{
	for (int waited = 0; fixture_states(f) != n; waited += 10) {
		if (waited >= ms)
			return false;
		usleep(10000);
	}
	return true;
}
