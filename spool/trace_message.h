#ifndef SPOOL_TRACE_MESSAGE_H
#define SPOOL_TRACE_MESSAGE_H

struct message;
struct session;

/* Who brings the first message of a session, noted once. */
void	trace_note_session(struct session *s);

/*
 * The end of a message's submission. broken_off: the client went away or gave up before the end of data; or its worker refused what
 * came, and says so.
 */
void	trace_note_accepted(const struct message *m);
void	trace_note_refused(const struct message *m, const char *reason);
void	trace_note_broken_off(const struct message *m);

#endif
