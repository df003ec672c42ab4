/*
 * Fuzz entry for one key set in a configuration's text: a text that could be read can be read, with this value and no
 * other changed.
 */
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "confedit.h"
#include "err.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct conf before, after;
	const struct conf_setting *s;
	struct conf_error error;
	struct buf b;
	size_t count;

	if (memchr(p, 0, n) != NULL || conf_parse(&before, (const char *)p, n, &error) != ERR_OK)
		return 0;
	buf_init(&b, CONF_FILE_MAX);
	must(confedit_set(&b, (const char *)p, n, "limits", "recipients", "77") == ERR_OK);
	must(conf_parse(&after, (const char *)b.data, b.len, &error) == ERR_OK);
	must(after.limits_recipients == 77);
	s = conf_settings(&count);
	for (size_t i = 0; i < count; i++) {
		char was[1024], is[1024];

		if (strcmp(s[i].name, "limits.recipients") != 0)
			must(strcmp(conf_put_value(was, &before, &s[i]), conf_put_value(is, &after, &s[i])) == 0);
	}
	must(before.nlisteners == after.nlisteners && before.ncertificates == after.ncertificates);
	must(memcmp(before.listeners, after.listeners, sizeof(before.listeners)) == 0);
	buf_free(&b);
	return 0;
}
