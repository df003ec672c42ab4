/*
 * Every reply there is, and the one place that makes reply lines. Pure; run by workers. The texts are the
 * specification's; detail for a person stands behind a colon or semicolon.
 */
#include "reply.h"

#include <stdio.h>
#include <string.h>

#define ERROR REPLY_IS_ERROR
#define CLOSES REPLY_CLOSES
#define ARGUMENT REPLY_TAKES_ARGUMENT
#define BARE REPLY_BARE
#define SAME { 0, { 0, 0, 0 }, NULL }

static const struct reply replies[REPLY_COUNT] = {
	[REPLY_GREETING] = { { 220, { 0, 0, 0 }, "$ ESMTP SMTP Service ready" }, SAME, BARE | ARGUMENT,
	    "the session begins" },
	[REPLY_STATUS] = { { 211, { 2, 0, 0 }, "$" }, SAME, ARGUMENT, "HELP STATUS, after login" },
	[REPLY_HELP] = { { 214, { 2, 0, 0 }, "$" }, SAME, ARGUMENT, "HELP" },
	[REPLY_TLS_READY] = { { 220, { 2, 0, 0 }, "Ready to start TLS" }, SAME, 0, "STARTTLS was taken" },
	[REPLY_BYE] = { { 221, { 2, 0, 0 }, "$ Service closing transmission channel" }, SAME, CLOSES | ARGUMENT,
	    "QUIT" },
	[REPLY_AUTH_OK] = { { 235, { 2, 7, 0 }, "Authentication successful" }, SAME, 0, "AUTH is done" },
	[REPLY_OK] = { { 250, { 2, 0, 0 }, "Ok" }, SAME, 0, "the command was good" },
	[REPLY_SENDER_OK] = { { 250, { 2, 1, 0 }, "Ok" }, SAME, 0, "MAIL was good" },
	[REPLY_RECIPIENT_OK] = { { 250, { 2, 1, 5 }, "Ok" }, SAME, 0,
	    "RCPT was good; the same recipient again is one copy, with all reports that were asked for" },
	[REPLY_QUEUED] = { { 250, { 2, 0, 0 }, "Ok: queued as $" }, SAME, ARGUMENT,
	    "the message is on stable storage" },
	[REPLY_CHUNK_OK] = { { 250, { 2, 0, 0 }, "Ok: $ octets" }, SAME, ARGUMENT, "a chunk of BDAT was taken" },
	[REPLY_HELLO] = { { 250, { 0, 0, 0 }, "$" }, SAME, BARE | ARGUMENT, "EHLO and HELO" },
	[REPLY_CANNOT_VRFY] = { { 252, { 2, 5, 0 }, "Cannot VRFY user, but will accept message and attempt delivery" },
	    SAME, 0, "VRFY" },
	[REPLY_ETRN_STARTED] = { { 250, { 2, 0, 0 }, "OK, queuing for node $ started" }, SAME, ARGUMENT,
	    "ETRN, where it is not known whether anything waits for that domain" },
	[REPLY_ETRN_NONE] = { { 251, { 2, 0, 0 }, "OK, no messages waiting for node $" }, SAME, ARGUMENT, "ETRN" },
	[REPLY_ETRN_PENDING] = { { 252, { 2, 0, 0 }, "OK, pending messages for node $ started" }, SAME, ARGUMENT,
	    "ETRN, where messages wait that may be for that domain" },
	[REPLY_ETRN_COUNTED] = { { 253, { 2, 0, 0 }, "OK, $ started" }, SAME, ARGUMENT,
	    "ETRN: so many pending messages for node such" },
	[REPLY_AUTH_USER] = { { 334, { 0, 0, 0 }, "VXNlcm5hbWU6" }, SAME, BARE, "AUTH LOGIN asks for the user name" },
	[REPLY_AUTH_PASSWORD] = { { 334, { 0, 0, 0 }, "UGFzc3dvcmQ6" }, SAME, BARE, "AUTH LOGIN asks for the password" },
	[REPLY_AUTH_CONTINUE] = { { 334, { 0, 0, 0 }, "Ok" }, { 334, { 0, 0, 0 }, "" }, BARE,
	    "AUTH PLAIN without initial response" },
	[REPLY_START_DATA] = { { 354, { 0, 0, 0 }, "Start mail input; end with <CRLF>.<CRLF>" }, SAME, BARE, "DATA" },
	[REPLY_TIMEOUT] = { { 421, { 4, 4, 2 }, "Timeout waiting for data from client" }, SAME, CLOSES,
	    "no command, or no data inside a message, for the time allowed" },
	[REPLY_SHUTDOWN] = { { 421, { 4, 3, 2 }, "$ Service not available, closing transmission channel" }, SAME,
	    CLOSES | ARGUMENT, "the service is stopped, restarted or paused, or an administrator has ended the session" },
	[REPLY_TOO_MANY_FROM_ADDRESS] = { { 421, { 4, 7, 0 },
	    "$ Service not available, closing transmission channel: too many sessions from your address" }, SAME,
	    CLOSES | ARGUMENT, "more sessions from one address than limits.sessions_per_address" },
	[REPLY_OVERLOADED] = { { 421, { 4, 3, 2 },
	    "$ Service not available, closing transmission channel: too many sessions, try again later" }, SAME,
	    CLOSES | ARGUMENT, "more sessions than workers.max" },
	[REPLY_TOO_MANY_ERRORS] = { { 421, { 4, 7, 0 },
	    "$ Service not available, closing transmission channel: too many errors" }, SAME, CLOSES | ARGUMENT,
	    "more errors in one session than limits.errors" },
	[REPLY_LOGIN_THROTTLED] = { { 450, { 4, 7, 0 },
	    "Requested mail action not taken: mailbox unavailable; too many wrong passwords, try again in $ seconds" }, SAME,
	    ERROR | ARGUMENT, "too many wrong passwords from this network" },
	[REPLY_SENDER_THROTTLED] = { { 450, { 4, 7, 0 },
	    "Requested mail action not taken: mailbox unavailable; too many messages, try again in $ seconds" }, SAME, ARGUMENT,
	    "more messages in an hour than the account or its credential may send" },
	[REPLY_LOCAL_ERROR] = { { 451, { 4, 3, 0 }, "Requested action aborted: local error in processing" }, SAME, 0,
	    "an input/output or internal error; the message is not stored" },
	[REPLY_NO_STORAGE] = { { 452, { 4, 3, 1 }, "Requested action not taken: insufficient system storage" }, SAME, 0,
	    "the spool's disk is full; the message is not stored" },
	[REPLY_TOO_MANY_RECIPIENTS] = { { 452, { 4, 5, 3 }, "Too many recipients" }, SAME, 0,
	    "more recipients than limits.recipients; those before stand" },
	[REPLY_TLS_UNAVAILABLE] = { { 454, { 4, 7, 0 }, "TLS not available due to temporary reason" }, SAME, 0,
	    "STARTTLS while the key service is not there" },
	[REPLY_AUTH_UNAVAILABLE] = { { 454, { 4, 7, 0 }, "Temporary authentication failure" }, SAME, 0,
	    "the registry or a service behind it can't answer now, or the hash of a password could not be computed" },
	[REPLY_ETRN_UNABLE] = { { 458, { 4, 3, 2 }, "Unable to queue messages for node $" }, SAME, ARGUMENT,
	    "ETRN while delivery is paused or the spool is not there, or for a domain without a route" },
	[REPLY_ETRN_NOT_ALLOWED] = { { 459, { 4, 7, 1 }, "Node $" }, SAME, ERROR | ARGUMENT,
	    "ETRN for a domain that the account has no sender *@domain of, or for a named queue" },
	[REPLY_UNKNOWN_COMMAND] = { { 500, { 5, 5, 2 }, "Syntax error, command unrecognized" }, SAME, ERROR,
	    "an unknown command" },
	[REPLY_LINE_TOO_LONG] = { { 500, { 5, 5, 2 }, "Syntax error, command unrecognized: line too long" }, SAME, ERROR,
	    "a command line over its limit" },
	[REPLY_TOO_MANY_SESSIONS] = { { 500, { 5, 7, 0 }, "The number of sessions exceeds the maximum" },
	    { 421, { 4, 7, 0 }, "The number of sessions exceeds the maximum" }, CLOSES,
	    "more sessions of one account than limits.sessions_per_account" },
	[REPLY_BAD_ARGUMENT] = { { 501, { 5, 5, 4 }, "Syntax error in parameters or arguments" }, SAME, ERROR,
	    "an argument that does not follow its grammar" },
	[REPLY_NEEDS_BRACKETS] = { { 501, { 5, 1, 7 },
	    "Email address must be enclosed in angle brackets,like <address>" }, SAME, ERROR,
	    "MAIL or RCPT with an address without <>" },
	[REPLY_BAD_BASE64] = { { 501, { 5, 5, 2 }, "Invalid command argument, not a valid Base64 string" }, SAME, ERROR,
	    "AUTH with something that is not Base64" },
	[REPLY_AUTH_CANCELLED] = { { 501, { 5, 0, 0 },
	    "Syntax error in parameters or arguments: authentication cancelled" }, SAME, ERROR, "* in the course of AUTH" },
	[REPLY_NO_ARGUMENT_ALLOWED] = { { 501, { 5, 5, 4 }, "Syntax error, no parameters allowed" }, SAME, ERROR,
	    "RSET, DATA, STARTTLS or QUIT with an argument" },
	[REPLY_DUPLICATE_PARAMETER] = { { 501, { 5, 5, 4 },
	    "Syntax error in parameters or arguments: a parameter is given twice" }, SAME, ERROR,
	    "a parameter of MAIL or RCPT given twice" },
	[REPLY_NOT_IMPLEMENTED] = { { 502, { 5, 5, 1 }, "Command not implemented" }, SAME, ERROR,
	    "a command that this listener does not offer" },
	[REPLY_BAD_SEQUENCE] = { { 503, { 5, 5, 1 }, "Bad sequence of commands" }, SAME, ERROR,
	    "a command at the wrong moment" },
	[REPLY_ALREADY_AUTHENTICATED] = { { 503, { 5, 5, 1 }, "Refusing any other AUTH command" }, SAME, ERROR,
	    "AUTH after a successful AUTH" },
	[REPLY_UNKNOWN_MECHANISM] = { { 504, { 5, 5, 4 }, "Command parameter not implemented" }, SAME, ERROR,
	    "AUTH with an unknown mechanism" },
	[REPLY_UNKNOWN_TOPIC] = { { 504, { 5, 5, 4 }, "Command parameter not implemented: HELP lists the topics" }, SAME,
	    ERROR, "HELP with an unknown topic" },
	[REPLY_BAD_PARAMETER_VALUE] = { { 504, { 5, 5, 4 }, "Command parameter not implemented" }, SAME, ERROR,
	    "a parameter value that is not supported" },
	[REPLY_CLOSED_TO_CLIENT] = { { 521, { 5, 3, 2 }, "Machine does not accept mail" }, SAME, CLOSES,
	    "this listener does not serve the client's address" },
	[REPLY_INVALID_ADDRESS] = { { 530, { 5, 1, 3 }, "Invalid email address" },
	    { 553, { 5, 1, 3 }, "Invalid email address" }, ERROR, "a malformed address inside <>" },
	[REPLY_AUTH_REQUIRED] = { { 530, { 5, 7, 0 }, "Authentication required" }, SAME, ERROR,
	    "MAIL, RCPT, DATA, VRFY, EXPN or ETRN before AUTH" },
	[REPLY_LOCAL_UNKNOWN] = { { 530, { 5, 7, 0 }, "Authentication required: your user may not send mail here; "
	    "the administrator can permit it: smtpadm credential add ACCOUNT --local-user $" }, SAME, ERROR | ARGUMENT,
	    "the local socket, by a user that no account has a credential for" },
	[REPLY_LOGIN_VOID] = { { 530, { 5, 7, 0 }, "Authentication required: this login is no longer valid" }, SAME, ERROR,
	    "the account was disabled or its credential changed since the login" },
	[REPLY_TLS_REQUIRED] = { { 530, { 5, 7, 0 }, "Must issue a STARTTLS command first" }, SAME, ERROR,
	    "TLS is required and missing" },
	[REPLY_AUTH_INVALID] = { { 535, { 5, 7, 8 }, "Authentication credentials invalid" }, SAME, ERROR,
	    "wrong user, wrong password, disabled account" },
	[REPLY_ENCRYPTION_REQUIRED] = { { 538, { 5, 7, 11 },
	    "Encryption required for requested authentication mechanism" }, SAME, ERROR, "AUTH before TLS" },
	[REPLY_MAILBOX_UNAVAILABLE] = { { 550, { 5, 7, 1 }, "Requested action not taken: mailbox unavailable; this password is only for "
	    "certain recipients, the administrator can permit others: smtpadm credential change ACCOUNT --name NAME --rcpt ADDRESS" },
	    SAME, ERROR, "a recipient beyond those of the credential: credential add --rcpt" },
	[REPLY_MESSAGE_TOO_BIG] = { { 552, { 5, 3, 4 },
	    "Requested mail action aborted: exceeded storage allocation; the limit is $ octets" }, SAME, ARGUMENT,
	    "a message over limits.message_size" },
	[REPLY_ATTACHMENT_TOO_BIG] = { { 552, { 5, 3, 4 },
	    "Requested mail action aborted: exceeded storage allocation; attachment $ is over the limit" }, SAME, ARGUMENT,
	    "an attachment over limits.attachment_size when decoded" },
	[REPLY_SENDER_NOT_ALLOWED] = { { 553, { 5, 7, 1 }, "Sender not allowed" }, SAME, ERROR,
	    "MAIL with an address that is not registered for the account" },
	[REPLY_HEADER_SENDER_NOT_ALLOWED] = { { 553, { 5, 7, 1 },
	    "Sender not allowed: the From field names an address that this account may not use" }, SAME, 0,
	    "a header From that the account may not use" },
	[REPLY_BAD_OCTETS] = { { 554, { 5, 6, 0 },
	    "Transaction failed: NUL, bare CR or bare LF in the message; lines must end with CRLF" }, SAME, ERROR,
	    "a message with NUL, bare CR or bare LF" },
	[REPLY_MALFORMED_MESSAGE] = { { 554, { 5, 6, 0 }, "Transaction failed: the message is malformed: $" }, SAME, ARGUMENT,
	    "two From fields, a multipart without boundary, parts nested too deep, a header or a line too long" },
	[REPLY_NO_RECIPIENTS] = { { 554, { 5, 5, 1 }, "Transaction failed: no valid recipients" }, SAME, ERROR,
	    "no recipient is left" },
	[REPLY_LOOP] = { { 554, { 5, 4, 6 }, "Transaction failed: mail loop, over 100 Received fields" }, SAME, 0,
	    "a message that has gone in circles" },
	[REPLY_BANNED] = { { 554, { 5, 7, 1 }, "No SMTP service here" }, SAME, CLOSES, "a banned address" },
	[REPLY_UNKNOWN_PARAMETER] = { { 555, { 5, 5, 4 },
	    "MAIL FROM/RCPT TO parameters not recognized or not implemented" }, SAME, ERROR, "an unknown ESMTP parameter" },
};

const struct reply *
reply_find(enum reply_id id)
{
	return id > REPLY_NONE && id < REPLY_COUNT ? &replies[id] : NULL;
}

/* Appends n octets of a possibly foreign text, printable ASCII only. */
static void
put_text(char *line, size_t *len, const char *p, size_t n)
{
	for (size_t i = 0; i < n && *len < REPLY_LINE_MAX - 2; i++)
		line[(*len)++] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
}

static size_t
put_line(char *to, size_t size, const struct reply *r, const struct reply_form *f, bool last, const char *argument,
    size_t argument_len)
{
	const char *mark = (r->traits & REPLY_TAKES_ARGUMENT) != 0 ? strchr(f->text, '$') : NULL;
	char line[REPLY_LINE_MAX];
	size_t len;

	len = (size_t)snprintf(line, sizeof(line), "%u%c", (unsigned)f->code, last ? ' ' : '-');
	if ((r->traits & REPLY_BARE) == 0)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%u.%u.%u ", (unsigned)f->enhanced[0],
		    (unsigned)f->enhanced[1], (unsigned)f->enhanced[2]);
	if (mark == NULL) {
		put_text(line, &len, f->text, strlen(f->text));
	} else {
		put_text(line, &len, f->text, (size_t)(mark - f->text));
		put_text(line, &len, argument, argument_len);
		put_text(line, &len, mark + 1, strlen(mark + 1));
	}
	line[len++] = '\r';
	line[len++] = '\n';
	if (len > size)
		return 0;
	memcpy(to, line, len);
	return len;
}

size_t
reply_put(char *to, size_t size, enum reply_id id, const char *argument, bool rfc)
{
	const struct reply *r = reply_find(id);
	const struct reply_form *f;
	size_t used = 0;

	if (r == NULL)
		return 0;
	f = rfc && r->rfc.code != 0 ? &r->rfc : &r->form;
	if (argument == NULL)
		argument = "";
	/* Only a text that is nothing but its argument may have several lines. */
	if (strcmp(f->text, "$") != 0)
		return put_line(to, size, r, f, true, argument, strlen(argument));
	for (;;) {
		size_t n = strcspn(argument, "\n");

		used += put_line(to + used, size - used, r, f, argument[n] == 0, argument, n);
		if (argument[n] == 0)
			return used;
		argument += n + 1;
	}
}
