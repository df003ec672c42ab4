#ifndef SENDMAIL_SUBMIT_H
#define SENDMAIL_SUBMIT_H

struct client;
struct input;
struct options;

/* Hands a message over. An exit status of sysexits(3); what went wrong is said on standard error. */
int	submit_message(struct client *c, const struct options *o, const struct input *in);

/* What went wrong with the connection: an exit status, said on standard error. */
int	submit_lost(int err);

/* Lets standard input and output speak SMTP with the service (-bs). */
int	submit_dialogue(struct client *c);

#endif
