/*
 * Fuzz entry for addresses of the network: what is read is put and read again the same.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "netaddr.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[256], put[NETADDR_TEXT];
	struct netaddr a, same;
	struct netmask m, equal;
	struct sockaddr_storage ss;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	if (netaddr_parse(&a, text) == ERR_OK) {
		must(a.family == 4 || a.family == 6);
		must(netaddr_parse(&same, netaddr_put(put, &a)) == ERR_OK && netaddr_is_equal(&a, &same));
		must(netaddr_to_sockaddr(&a, &ss) != 0 && netaddr_from_sockaddr(&same, &ss) == ERR_OK && netaddr_is_equal(&a, &same));
	}
	if (netmask_parse(&m, text) == ERR_OK) {
		must(m.bits <= (m.address.family == 4 ? 32 : 128));
		must(netmask_parse(&equal, netmask_put(put, &m)) == ERR_OK && equal.bits == m.bits);
		must(netaddr_is_equal(&m.address, &equal.address) && netaddr_is_in(&m.address, &m));
	}
	return 0;
}
