/*
 * Fuzz entry for files of accounts: passwd, Dovecot's, CSV.
 */
#include <string.h>

#include "err.h"
#include "fuzz.h"
#include "import.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum import_form forms[] = { IMPORT_PASSWD, IMPORT_DOVECOT, IMPORT_CSV };
	struct import im;
	size_t lines = 1;
	char *text;

	if (n == 0 || (text = malloc(n)) == NULL)
		return 0;
	memcpy(text, p + 1, n - 1);
	text[n - 1] = 0;
	for (size_t i = 1; i < n; i++)
		lines += p[i] == '\n';
	if (import_parse(&im, forms[p[0] % 3], text, n - 1) == ERR_OK) {
		for (size_t i = 0; i < im.n; i++) {
			const struct import_row *r = &im.rows[i];
			char *senders = r->senders, *one;
			size_t count = 0;

			must(r->line >= 1 && r->line <= lines && r->account[0] != 0);
			must(strlen(r->account) + strlen(r->credential) + strlen(r->hash) + strlen(r->password) < n);
			must(r->hash[0] == 0 || r->password[0] == 0);
			while (senders != NULL && (one = import_next_sender(&senders)) != NULL)
				must(one[0] != 0 && ++count < n);
		}
	} else {
		must(im.why[0] != 0 && im.line >= 1 && im.line <= lines);
	}
	free(im.rows);
	free(text);
	return 0;
}
