/*
 * Fuzz entry for the arguments of MAIL and RCPT.
 */
#include <string.h>

#include "addr.h"
#include "err.h"
#include "fuzz.h"
#include "path.h"
#include "str.h"

static void
check_address(const struct addr *a, bool may_be_null)
{
	struct addr again;

	if (addr_is_null(a)) {
		must(may_be_null);
		return;
	}
	must(addr_parse(&again, a->text, a->len, true) == ERR_OK && strcmp(again.text, a->text) == 0);
}

static void
check_xtext(const char *text, size_t size)
{
	must(memchr(text, 0, size) != NULL);
	for (; *text != 0; text++)
		must(*text > ' ' && *text < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ipc_sender sender;
	struct ipc_recipient recipient;
	bool smtputf8;

	if (n == 0)
		return 0;
	smtputf8 = *p++ & 1;
	n--;
	if (path_parse_mail(p, n, &sender) == PATH_OK) {
		check_address(&sender.address, true);
		check_xtext(sender.envid, sizeof(sender.envid));
		must(sender.smtputf8 || !sender.address.is_utf8);
		must(sender.body <= BODY_8BITMIME && sender.ret <= DSN_RET_HDRS);
	}
	if (path_parse_rcpt(p, n, "mail.example.org", smtputf8, &recipient) == PATH_OK) {
		check_address(&recipient.address, false);
		must(memchr(recipient.orcpt, 0, sizeof(recipient.orcpt)) != NULL && strpbrk(recipient.orcpt, " \r\n") == NULL);
		must(str_is_utf8(recipient.orcpt, strlen(recipient.orcpt)));
		for (const char *c = recipient.orcpt; *c != 0; c++)
			must((uint8_t)*c > ' ' && *c != 0x7f && (smtputf8 || (uint8_t)*c < 0x80));
		must(smtputf8 || !recipient.address.is_utf8);
		must(recipient.notify <= 15 && (recipient.notify == DSN_NOTIFY_NEVER || (recipient.notify & DSN_NOTIFY_NEVER) == 0));
	}
	return 0;
}
