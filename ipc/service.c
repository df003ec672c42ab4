/*
 * How a service starts: arguments, configuration, log, and its first and last word to the master. Runs in
 * postern-auth, postern-keys and postern-spool, still with the rights they were started with.
 */
#include "service.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "err.h"
#include "ipc.h"
#include "log.h"

void
service_fail(const struct service *s, int code, const char *fmt, ...)
{
	struct ipc_failed m = { .code = (uint8_t)code };
	uint8_t data[IPC_REASON_MAX + 16];
	struct wire_out w;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.reason, sizeof(m.reason), fmt, ap);
	va_end(ap);
	if (s->selftest)
		log_fatal(code, "%s", m.reason);
	wire_out_init(&w, data, sizeof(data));
	ipc_put_failed(&w, &m);
	ipc_send(SERVICE_CONTROL_FD, &w, NULL, 0, true);
	exit(code);
}

void
service_ready(const struct service *s, uint32_t parts, const uint8_t *detail, size_t detail_len)
{
	struct ipc_ready m = { .parts = parts, .detail = detail, .detail_len = detail_len };
	uint8_t data[IPC_REASON_MAX + 16];
	struct wire_out w;

	wire_out_init(&w, data, sizeof(data));
	ipc_put_ready(&w, &m);
	if (ipc_send(SERVICE_CONTROL_FD, &w, NULL, 0, true) != ERR_OK)
		service_fail(s, EX_OSERR, "postern-%s could not tell the master that it is ready", s->name);
}

static void
load_conf(struct service *s)
{
	struct conf_error error;
	int err;

	if (s->selftest)
		err = conf_load(&s->conf, s->in.conf_file, NULL, NULL, &error);
	else
		err = conf_load_fd(&s->conf, SERVICE_CONF_FD, &error);
	if (err != ERR_OK)
		service_fail(s, EX_CONFIG, "%s:%u: %s", s->in.conf_file, error.line, error.text);
}

void
service_start(struct service *s, const char *name, int argc, char **argv)
{
	static char program[32];
	const char *root = NULL;

	*s = (struct service){ .name = name };
	snprintf(program, sizeof(program), "postern-%s", name);
	log_open(program, LOG_LEVEL_INFO);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--selftest") == 0)
			s->selftest = true;
		else if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
			root = argv[++i];
		else
			log_fatal(EX_USAGE, "usage: %s [--root DIR] [--selftest]; it is started by posternd(8)", program);
	}
	if (instance_open(&s->in, root) != ERR_OK)
		service_fail(s, EX_OSERR, "the folder %s can't be used", root);
	load_conf(s);
	log_configure((enum log_level)s->conf.log_level, (enum log_format)s->conf.log_format);
	if (s->conf.log_target == LOG_TARGET_SYSLOG && !s->selftest)
		log_open_syslog();
	instance_ids(&s->in, &s->conf, &s->ids);
}
