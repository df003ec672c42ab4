/*
 * postern-sendmail: the program that others call as /usr/sbin/sendmail. Runs as whoever calls it, with no right of its
 * own: it has the local socket for its only way, and who may send as whom is decided behind that. Invariant: a message
 * is read whole before the service hears of it, since a job may write to us for hours.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "client.h"
#include "err.h"
#include "input.h"
#include "mailboxes.h"
#include "options.h"
#include "str.h"
#include "submit.h"

/* Beside this very program, else where `make install` puts it. */
static int
run_smtpadm(char *const *argv)
{
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = 0;
		if (str_fmt(path, sizeof(path), "%s/smtpadm", dirname(self)) == ERR_OK)
			execv(path, argv);
	}
	execv(SBINDIR "/smtpadm", argv);
	fprintf(stderr, "sendmail: %s/smtpadm can't be run: %s\n", SBINDIR, strerror(errno));
	return EX_OSFILE;
}

static int
run_dialogue(const char *root)
{
	static struct client c;
	int err = client_open(&c, root, false), status;

	if (err != ERR_OK) {
		printf("421 4.3.2 localhost Service not available, closing transmission channel\r\n");
		fflush(stdout);
		return submit_lost(err);
	}
	/* The greeting is one line: it was read to see that somebody is there. */
	printf("%u %s\r\n", c.code, c.text);
	fflush(stdout);
	status = submit_dialogue(&c);
	client_close(&c);
	return status;
}

static int
run_send(const struct options *o, const char *root)
{
	static struct client c;
	struct input in;
	int err, status;

	if (o->recipients[0] == NULL && !o->from_header) {
		fprintf(stderr, "sendmail: no recipients: name them behind the options, or use -t with To, Cc or Bcc "
				"in the header\n");
		return EX_USAGE;
	}
	input_init(&in, o->ignore_dots);
	if ((err = input_read(&in, STDIN_FILENO)) == ERR_TOOBIG) {
		fprintf(stderr, "sendmail: the message has over %zu octets\n", INPUT_MAX);
		status = EX_DATAERR;
	} else if (err != ERR_OK) {
		fprintf(stderr, "sendmail: standard input can't be read: %s\n", err_text(err));
		status = EX_IOERR;
	} else if ((err = client_open(&c, root, o->verbose)) != ERR_OK) {
		status = submit_lost(err);
	} else {
		status = submit_message(&c, o, &in);
	}
	client_close(&c);
	buf_free(&in.text);
	return status;
}

int
main(int argc, char **argv)
{
	const char *root = getenv("POSTERN_ROOT");
	struct options o;
	char why[256], shown[256];

	signal(SIGPIPE, SIG_IGN);
	if (options_read(&o, argc, argv, why, sizeof(why)) != ERR_OK) {
		fprintf(stderr, "sendmail: %s; see postern-sendmail(8)\n", mailboxes_show(shown, sizeof(shown), why));
		return EX_USAGE;
	}
	switch (o.mode) {
	case MODE_SMTP:
		return run_dialogue(root);
	case MODE_QUEUE:
		return run_smtpadm((char *const[]){ (char *)"mailq", NULL });
	case MODE_FLUSH:
		return run_smtpadm((char *const[]){ (char *)"smtpadm", (char *)"-q", (char *)"queue", (char *)"retry", (char *)"--all",
		    (char *)"--yes", NULL });
	case MODE_ALIASES:
		return EX_OK;
	case MODE_SEND:
		break;
	}
	return run_send(&o, root);
}
