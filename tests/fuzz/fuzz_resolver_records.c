/*
 * Fuzz entry for the records of the DNS: names of hosts and nothing else come out, in their order and within bounds.
 */
#include <ctype.h>
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "resolver_records.h"

#define RECORDS 40

static void
check_name(const char *name)
{
	size_t n = strlen(name);

	must(n < RESOLVE_NAME && (n == 0 || name[n - 1] != '.'));
	for (size_t i = 0; i < n; i++)
		must(name[i] > ' ' && name[i] < 0x7f && !isupper((unsigned char)name[i]));
}

/* The octets cut up into records: a length before each. */
static void
read_records(const uint8_t *p, size_t n)
{
	static char copies[RECORDS][256];
	static struct ipc_resolve_answer a;
	char *data[RECORDS + 1] = { NULL };
	int len[RECORDS + 1] = { 0 };

	for (size_t i = 0; i < RECORDS && n != 0; i++) {
		size_t size = *p < n - 1 ? *p : n - 1;

		memcpy(copies[i], p + 1, size);
		data[i] = copies[i];
		len[i] = (int)size;
		p += size + 1;
		n -= size + 1;
	}
	memset(&a, 0, sizeof(a));
	records_get_mx(data, len, &a);
	must(a.n <= RESOLVE_MAX);
	for (size_t i = 0; i < a.n; i++) {
		check_name(a.hosts[i].name);
		must(i == 0 || a.hosts[i - 1].preference <= a.hosts[i].preference);
	}
	memset(&a, 0, sizeof(a));
	records_get_addresses(data, len, &a);
	records_get_addresses(data, len, &a);
	must(a.n <= RESOLVE_MAX);
	for (size_t i = 0; i < a.n; i++)
		must(a.addresses[i].family == 4 || a.addresses[i].family == 6);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char name[RESOLVE_NAME], again[RESOLVE_NAME], text[1024];

	if (records_get_name(p, n, name) == ERR_OK)
		check_name(name);
	read_records(p, n);
	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	if (records_put_name(text, name) == ERR_OK) {
		check_name(name);
		must(records_put_name(name, again) == ERR_OK && strcmp(again, name) == 0);
	}
	return 0;
}
