/*
 * smtpadm: sets up and looks after one instance. Runs as the admin who called it; as root it becomes the owner of
 * the registry and the spool before it touches them. Invariant: no password is ever taken from, or put on, a
 * command line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "command.h"
#include "conf.h"
#include "err.h"
#include "out.h"
#include "str.h"

bool
admin_has(const struct admin *a, enum option_id id)
{
	for (size_t i = 0; i < a->noptions; i++)
		if (a->options[i] == id)
			return true;
	return false;
}

const char *
admin_value(const struct admin *a, enum option_id id)
{
	for (size_t i = 0; i < a->noptions; i++)
		if (a->options[i] == id)
			return a->values[i];
	return NULL;
}

const char *
admin_next(const struct admin *a, enum option_id id, size_t *i)
{
	for (; *i < a->noptions; (*i)++)
		if (a->options[*i] == id)
			return a->values[(*i)++];
	return NULL;
}

/* The help that is next: of the command that the words so far name, or all. */
static void
advise_help(const struct admin *a)
{
	const struct command *c;

	out_fix("smtpadm --help");
	for (size_t i = 0; a->nwords != 0 && (c = command_row(i)) != NULL; i++) {
		if (strcmp(c->noun, a->words[0]) != 0)
			continue;
		if (c->verb == NULL || a->nwords < 2)
			out_fix("smtpadm %s --help", c->noun);
		else if (strcmp(c->verb, a->words[1]) == 0)
			out_fix("smtpadm %s %s --help", c->noun, c->verb);
	}
}

static int
unknown_option(const struct admin *a, const char *name)
{
	const char *names[OPT_COUNT], *nearest;

	for (size_t i = 0; i < OPT_COUNT; i++)
		names[i] = command_options[i].name;
	nearest = str_nearest(name, names, OPT_COUNT);
	advise_help(a);
	if (nearest != NULL)
		return out_fail(EX_USAGE, "usage", "unknown option '--%s', did you mean '--%s'?", name, nearest);
	return out_fail(EX_USAGE, "usage", "unknown option '--%s'", name);
}

static int
take_option(struct admin *a, size_t id, const char *value)
{
	const struct option *o = command_option(a->nwords != 0 ? a->words[0] : "", (enum option_id)id);

	advise_help(a);
	if (a->noptions == ADMIN_OPTIONS_MAX)
		return out_fail(EX_USAGE, "usage", "too many options");
	if (o->value != NULL && value == NULL)
		return out_fail(EX_USAGE, "usage", "option --%s needs a value: %s", o->name, o->value);
	if (o->value != NULL && !o->repeats && admin_has(a, (enum option_id)id))
		return out_fail(EX_USAGE, "usage", "option --%s stands twice", o->name);
	a->options[a->noptions] = (enum option_id)id;
	a->values[a->noptions++] = value;
	out_fix("%s", "");
	return EX_OK;
}

static int
parse_long(struct admin *a, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);

	for (size_t id = 0; id < OPT_COUNT; id++) {
		const struct option *o = &command_options[id];

		if (strlen(o->name) != n || strncmp(o->name, name, n) != 0)
			continue;
		if (o->value == NULL && equals != NULL) {
			advise_help(a);
			return out_fail(EX_USAGE, "usage", "option --%s takes no value", o->name);
		}
		if (o->value == NULL || equals != NULL)
			return take_option(a, id, equals != NULL ? equals + 1 : NULL);
		return take_option(a, id, argv[*i + 1] != NULL ? argv[++*i] : NULL);
	}
	return unknown_option(a, name);
}

static int
parse_letters(struct admin *a, const char *letters)
{
	int code;

	for (; *letters != 0; letters++) {
		size_t id = 0;

		while (id < OPT_COUNT && command_options[id].letter != *letters)
			id++;
		if (id == OPT_COUNT) {
			advise_help(a);
			return out_fail(EX_USAGE, "usage", "unknown option '-%c'", *letters);
		}
		if ((code = take_option(a, id, NULL)) != EX_OK)
			return code;
	}
	return EX_OK;
}

static int
parse(struct admin *a, int argc, char **argv)
{
	bool options = true;
	int code = EX_OK;

	for (int i = 1; i < argc && code == EX_OK; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strncmp(argv[i], "--", 2) == 0) {
			code = parse_long(a, argv, &i);
		} else if (options && argv[i][0] == '-' && argv[i][1] != 0) {
			code = parse_letters(a, argv[i] + 1);
		} else {
			if (a->nwords == ADMIN_WORDS_MAX) {
				advise_help(a);
				return out_fail(EX_USAGE, "usage", "too many arguments");
			}
			a->words[a->nwords++] = argv[i];
		}
	}
	return code;
}

/* In the environment, and not empty. */
static bool
is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != 0;
}

static int
set_style(struct admin *a)
{
	static const char *const colors[] = {"auto", "always", "never"}, *const times[] = {"", "utc", "local", "rel"};
	struct out_style style = { .json = admin_has(a, OPT_JSON), .quiet = admin_has(a, OPT_QUIET),
	    .verbose = admin_has(a, OPT_VERBOSE), .root = "" };
	const char *color = admin_value(a, OPT_COLOR), *time = admin_value(a, OPT_TIME),
		   *root = admin_value(a, OPT_ROOT);
	size_t c = 0, t = 0;

	out_open(&style);
	while (color != NULL && c < 3 && strcmp(color, colors[c]) != 0)
		c++;
	while (time != NULL && t < 4 && (t == 0 || strcmp(time, times[t]) != 0))
		t++;
	if (c == 3) {
		out_fix("--color auto, --color always or --color never");
		return out_fail(EX_USAGE, "usage", "--color is auto, always or never, not '%s'", color);
	}
	if (t == 4) {
		out_fix("--time utc, --time local or --time rel");
		return out_fail(EX_USAGE, "usage", "--time is utc, local or rel, not '%s'", time);
	}
	if (root == NULL)
		root = getenv("POSTERN_ROOT");
	else if (root[0] == 0) {
		out_fix("--root DIR, or without --root for the system's places");
		return out_fail(EX_USAGE, "usage", "--root needs the name of a folder");
	}
	if (instance_open(&a->in, root) != ERR_OK)
		return out_fail(EX_OSERR, "system", "the folder '%s' can't be used", root);
	a->time = (enum time_style)t;
	a->dry_run = admin_has(a, OPT_DRY_RUN);
	a->yes = admin_has(a, OPT_YES);
	style.bold = c == 1 || (c == 0 && isatty(STDOUT_FILENO) && !is_set("NO_COLOR"));
	style.root = a->in.root;
	out_open(&style);
	return EX_OK;
}

/* What a command does not take is refused, not passed over. */
static int
check_usage(const struct admin *a, const struct command *c)
{
	const char *verb = c->verb != NULL ? c->verb : "", *blank = c->verb != NULL ? " " : "";

	out_fix("smtpadm %s%s%s --help", c->noun, blank, verb);
	for (size_t i = 0; i < a->noptions; i++)
		if (((c->options | OPTIONS_GLOBAL) & (1ULL << a->options[i])) == 0)
			return out_fail(EX_USAGE, "usage", "'%s%s%s' has no option --%s", c->noun, blank, verb,
			    command_options[a->options[i]].name);
	if (a->nwords < c->min)
		return out_fail(EX_USAGE, "usage", "'%s%s%s' needs %s", c->noun, blank, verb, c->arguments);
	/* The word too many is not repeated: it may be a password. */
	if (a->nwords > c->max)
		return out_fail(EX_USAGE, "usage",
		    "'%s%s%s' takes %s%s, and there are more words%s", c->noun,
		    blank, verb, c->max == 0 ? "no argument" : "only ", c->max == 0 ? "" : c->arguments,
		    (c->options & (OPT(STDIN) | OPT(PASSWORD_STDIN))) != 0 ?
		    "; passwords never stand on the command line" : "");
	out_fix("%s", "");
	return EX_OK;
}

static int
show_version(void)
{
	struct json j;

	if (!out_is_json()) {
		printf("smtpadm (Postern) %s\n", POSTERN_VERSION);
		return EX_OK;
	}
	json_begin(&j);
	json_put_str(&j, "version", POSTERN_VERSION);
	json_end(&j, stdout);
	return EX_OK;
}

/* By a link of that name. */
static bool
is_mailq(const char *program)
{
	const char *base = program != NULL ? strrchr(program, '/') : NULL;

	return program != NULL && strcmp(base != NULL ? base + 1 : program, "mailq") == 0;
}

static int
run(struct admin *a, int argc, char **argv)
{
	const struct command *c;
	struct out_style style = { .root = "" };
	size_t used = 0;
	int code;

	/* An error on the command line is JSON, too, wherever -j stands, and its advice names the instance, wherever --root stands. */
	if (getenv("POSTERN_ROOT") != NULL)
		style.root = getenv("POSTERN_ROOT");
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		style.json = style.json || strcmp(argv[i], "--json") == 0 || (argv[i][0] == '-' && argv[i][1] != '-' &&
		    strchr(argv[i], 'j') != NULL);
		if (strcmp(argv[i], "--root") == 0 && argv[i + 1] != NULL)
			style.root = argv[i + 1];
		else if (strncmp(argv[i], "--root=", 7) == 0)
			style.root = argv[i] + 7;
	}
	out_open(&style);
	if ((code = parse(a, argc, argv)) != EX_OK || (code = set_style(a)) != EX_OK)
		return code;
	if (admin_has(a, OPT_VERSION))
		return show_version();
	if (a->nwords > 0 && strcmp(a->words[0], "help") == 0)
		return command_help(a->words + 1, a->nwords - 1);
	if (admin_has(a, OPT_HELP))
		return command_help(a->words, a->nwords);
	if (is_mailq(argv[0]))
		return a->nwords == 0 ? cmd_mailq(a) : out_fail(EX_USAGE, "usage", "mailq takes no arguments: smtpadm queue list");
	if (a->nwords == 0) {
		out_fix("smtpadm --help");
		return out_fail(EX_USAGE, "usage", "what is to be done?");
	}
	if ((c = command_find(a->words, a->nwords, &used)) == NULL)
		return EX_USAGE;
	a->nwords -= used;
	memmove(a->words, a->words + used, a->nwords * sizeof(a->words[0]));
	if ((code = check_usage(a, c)) != EX_OK)
		return code;
	return c->run(a);
}

int
main(int argc, char **argv)
{
	static struct admin a;
	int code;

	/* Passwords pass through this process: no core file. Modes are set explicitly wherever they matter. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	umask(022);
	code = run(&a, argc, argv);
	out_fix("another place for standard output: what was to be changed is changed, and a lost password is made anew by account passwd or "
	    "credential rotate");
	if (fflush(stdout) != 0 || ferror(stdout))
		return code != EX_OK ? code : out_fail(EX_IOERR, "output", "standard output can't be written");
	return code;
}
