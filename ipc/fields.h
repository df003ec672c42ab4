#ifndef IPC_FIELDS_H
#define IPC_FIELDS_H

#include "ipc.h"

/* Puts and gets of fields, for the message files of this folder only; errors stick in w. */
void	fields_put_kind(struct wire_out *w, enum ipc_kind kind);
void	fields_put_text(struct wire_out *w, const char *text);
void	fields_put_bool(struct wire_out *w, bool value);
bool	fields_get_bool(struct wire_in *w);
void	fields_put_netaddr(struct wire_out *w, const struct netaddr *a);
void	fields_get_netaddr(struct wire_in *w, struct netaddr *a);
void	fields_put_addr(struct wire_out *w, const struct addr *a);
/* Fails unless it parses (RFC 5321 Mailbox, UTF-8 too); only a reverse-path may be empty. */
void	fields_get_addr(struct wire_in *w, struct addr *a, bool may_be_null);
void	fields_put_sender(struct wire_out *w, const struct ipc_sender *m);
void	fields_get_sender(struct wire_in *w, struct ipc_sender *m);
void	fields_put_recipient(struct wire_out *w, const struct ipc_recipient *m);
void	fields_get_recipient(struct wire_in *w, struct ipc_recipient *m);

#endif
