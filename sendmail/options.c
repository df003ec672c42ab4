/*
 * The command line of sendmail, as programs have given it for decades. Run by postern-sendmail with its caller's
 * rights. What only has a meaning for a whole mail system (-C, -O, -X, ...) is taken and means nothing.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "str.h"

/* "+": what follows the first recipient is recipients. -d and -q take only what is attached to them. */
static const char letters[] = "+:A:B:C:F:GIL:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:tvx";

static int
read_mode(struct options *o, const char *word, char *why, size_t size)
{
	if (strcmp(word, "m") == 0 || strcmp(word, "a") == 0) {
		o->mode = MODE_SEND;
	} else if (strcmp(word, "s") == 0) {
		o->mode = MODE_SMTP;
	} else if (strcmp(word, "p") == 0) {
		o->mode = MODE_QUEUE;
	} else if (strcmp(word, "i") == 0) {
		o->mode = MODE_ALIASES;
	} else {
		snprintf(why, size, "-b%s is not offered: the service is posternd(8), addresses are not tested", word);
		return ERR_SYNTAX;
	}
	return ERR_OK;
}

/* "never", or some of the others with commas (RFC 3461, 4.1). */
static int
read_notify(struct options *o, const char *list, char *why, size_t size)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
	bool has[3] = { false };
	size_t n;

	o->notify = o->notify_text;
	if (str_is_equal_nocase(list, strlen(list), "never", 5))
		return str_fmt(o->notify_text, sizeof(o->notify_text), "NEVER");
	for (const char *p = list; ; p += n + 1) {
		bool known = false;

		n = strcspn(p, ",");
		for (size_t i = 0; i < 3; i++)
			if (str_is_equal_nocase(p, n, words[i], strlen(words[i])))
				known = has[i] = true;
		if (!known) {
			snprintf(
			    why, size, "-N %s: use never, or success, failure and delay with commas between", list);
			return ERR_SYNTAX;
		}
		if (p[n] == 0)
			break;
	}
	return str_fmt(o->notify_text, sizeof(o->notify_text), "%s%s%s%s%s", has[0] ? words[0] : "",
	    has[0] && (has[1] || has[2]) ? "," : "", has[1] ? words[1] : "", has[1] && has[2] ? "," : "",
	    has[2] ? words[2] : "");
}

static int
read_ret(struct options *o, const char *word, char *why, size_t size)
{
	o->ret = str_is_equal_nocase(word, strlen(word), "full", 4) ? "FULL" : "HDRS";
	if (o->ret[0] == 'F' || str_is_equal_nocase(word, strlen(word), "hdrs", 4))
		return ERR_OK;
	snprintf(why, size, "-R %s: use full or hdrs", word);
	return ERR_SYNTAX;
}

static int
read_letter(struct options *o, int letter, const char *value, char *why, size_t size)
{
	switch (letter) {
	case 'B':
		o->is_8bit = str_is_equal_nocase(value, strlen(value), "8BITMIME", 8);
		return ERR_OK;
	case 'F':
		o->full_name = value;
		return ERR_OK;
	case 'I':
		o->mode = MODE_ALIASES;
		return ERR_OK;
	case 'N':
		return read_notify(o, value, why, size);
	case 'R':
		return read_ret(o, value, why, size);
	case 'V':
		o->envid = value;
		return ERR_OK;
	case 'b':
		return read_mode(o, value, why, size);
	case 'f':
	case 'r':
		o->sender = value;
		return ERR_OK;
	case 'i':
		o->ignore_dots = true;
		return ERR_OK;
	case 'o':
		o->ignore_dots |= value[0] == 'i';
		return ERR_OK;
	case 'O':
		o->ignore_dots |=
		    str_is_equal_nocase(value, strcspn(value, "="), "IgnoreDots", 10) && strstr(value, "alse") == NULL;
		return ERR_OK;
	case 'q':
		o->mode = MODE_FLUSH;
		return ERR_OK;
	case 't':
		o->from_header = true;
		return ERR_OK;
	case 'v':
		o->verbose = true;
		return ERR_OK;
	default:
		return ERR_OK;
	}
}

int
options_read(struct options *o, int argc, char *const *argv, char *why, size_t size)
{
	const char *name = argc > 0 ? argv[0] : "sendmail", *slash = strrchr(name, '/');
	int letter, err;

	*o = (struct options){ .mode = MODE_SEND };
	name = slash != NULL ? slash + 1 : name;
	if (strcmp(name, "mailq") == 0)
		o->mode = MODE_QUEUE;
	else if (strcmp(name, "newaliases") == 0)
		o->mode = MODE_ALIASES;
	opterr = 0;
	while ((letter = getopt(argc, argv, letters)) != -1) {
		if (letter == '?' || letter == ':') {
			snprintf(why, size,
			    letter == '?' ? "the option -%c is unknown" : "the option -%c needs a value", optopt);
			return ERR_SYNTAX;
		}
		if ((err = read_letter(o, letter, optarg, why, size)) != ERR_OK)
			return err;
	}
	o->recipients = argv + optind;
	return ERR_OK;
}
