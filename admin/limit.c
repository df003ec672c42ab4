/*
 * Limits of accounts and of credentials: read from the command line, and shown. Runs in smtpadm with the admin's rights.
 * Invariant: a limit that would have no effect is refused.
 */
#include "limit.h"

#include <stddef.h>
#include <string.h>

#include "conf.h"
#include "err.h"
#include "out.h"
#include "str.h"

#define PER_HOUR_MAX 1000000

static const struct limit {
	const char	*name, *setting;	/* which has the bounds, and what holds without a limit; NULL: there is none */
	size_t		 offset;
} limits[] = {
	{ "sessions", "limits.sessions_per_account", offsetof(struct registry_limits, sessions) },
	{ "recipients", "limits.recipients", offsetof(struct registry_limits, recipients) },
	{ "message_size", "limits.message_size", offsetof(struct registry_limits, message_size) },
	{ "messages_per_hour", NULL, offsetof(struct registry_limits, messages_per_hour) },
};
#define NLIMITS (sizeof(limits) / sizeof(limits[0]))

static int
fail_value(const struct limit *one, const char *value)
{
	if (one->setting != NULL)
		out_fix("smtpadm config explain %s", one->setting);
	else
		out_fix("%s=N, a number from 1 to %d, or %s=default", one->name, PER_HOUR_MAX, one->name);
	return out_fail(EX_DATAERR, "bad_limit", "'%s' is no value for %s", value, one->name);
}

/* The workers refuse what is larger than the configuration says, whosever it is. */
static int
check_effect(const struct admin *a, uint64_t size, const char *text)
{
	static struct conf c;
	char most[24];
	int code;

	if ((code = admin_load_conf(a, &c)) != EX_OK || size <= c.limits_message_size)
		return code;
	str_put_size(most, c.limits_message_size);
	out_fix("smtpadm config set limits.message_size %s, which is for everybody", text);
	return out_fail(EX_DATAERR, "no_effect",
	    "message_size=%s would have no effect: nobody gets more than limits.message_size, %s", text, most);
}

int
limit_read(const struct admin *a, struct registry_limits *l, const char *word, bool of_credential)
{
	const struct conf_setting *s;
	const char *equals = strchr(word, '='), *text = equals != NULL ? equals + 1 : "";
	size_t i = of_credential ? 1 : 0, n = equals != NULL ? (size_t)(equals - word) : 0;
	uint64_t value = 0, least = 1, most = PER_HOUR_MAX;
	int err, code;

	while (i < NLIMITS && (strlen(limits[i].name) != n || strncmp(limits[i].name, word, n) != 0))
		i++;
	if (i == NLIMITS) {
		out_fix("%srecipients=N, message_size=N or messages_per_hour=N", of_credential ? "" : "sessions=N, ");
		return out_fail(EX_USAGE, "usage", "'%s' is no limit of %s", word,
		    of_credential ? "a credential" : "an account");
	}
	s = limits[i].setting != NULL ? conf_find(limits[i].setting) : NULL;
	if (s != NULL) {
		least = s->min != 0 ? s->min : 1;
		most = s->max;
	}
	if (strcmp(text, "default") != 0) {
		err = s != NULL && s->type == CONF_SIZE ? str_parse_size(text, &value) :
		    str_parse_u64(text, strlen(text), most, &value);
		if (err != ERR_OK || value < least || value > most)
			return fail_value(&limits[i], text);
		if (s != NULL && s->type == CONF_SIZE && (code = check_effect(a, value, text)) != EX_OK)
			return code;
	}
	*(uint64_t *)((char *)l + limits[i].offset) = value;
	return EX_OK;
}

void
limit_print(const struct registry_limits *l, const char *unset)
{
	for (size_t i = 0; i < NLIMITS; i++) {
		const uint64_t *value = (const uint64_t *)((const char *)l + limits[i].offset);
		char text[24];

		if (*value == 0 && unset == NULL)
			continue;
		if (limits[i].offset == offsetof(struct registry_limits, message_size))
			str_put_size(text, *value);
		else
			str_put_u64(text, *value);
		if (unset == NULL)
			out_print("limit       %s=%s\n", limits[i].name, text);
		else
			out_print("%-17s  %s\n", limits[i].name,
			    *value != 0 ? text : limits[i].setting != NULL ? unset : "any");
	}
}
