#ifndef IPC_SERVICE_H
#define IPC_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "instance.h"

/* Descriptors that a service finds when the master has started it. */
#define SERVICE_CONTROL_FD 3	/* the socket to the master; its end means: finish what is under way, then exit */
#define SERVICE_CONF_FD 4	/* the configuration as the master has checked it, a memory file */

/* What every service starts with. */
struct service {
	const char		*name;		/* "auth" */
	struct instance		 in;
	struct instance_ids	 ids;
	struct conf		 conf;
	bool			 selftest;	/* --selftest: prove the sandbox, print, exit; there is no master */
};

/*
 * Reads --root DIR and --selftest, opens the log, loads the configuration (from SERVICE_CONF_FD, or from the instance's file for a
 * selftest), and ignores SIGINT, SIGTERM, SIGHUP and SIGPIPE: a service ends when the master's socket does.
 * Ends the process on an error, having told the master why.
 */
void	service_start(struct service *s, const char *name, int argc, char **argv);

/* Tells the master why the start failed (a sysexits(3) code and a sentence that names the object and the mending
 * command), or standard error in a selftest, and ends the process with that code. */
void	service_fail(const struct service *s, int code, const char *fmt, ...)
	    __attribute__((noreturn, format(printf, 3, 4)));

/* Tells the master that the service is sandboxed and serving. Ends the process if that fails. */
void	service_ready(const struct service *s, uint32_t parts, const uint8_t *detail, size_t detail_len);

#endif
