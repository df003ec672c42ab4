/*
 * smtpadm completion: scripts for the shells, printed from the one table of commands and the one of options. Runs with the admin's
 * rights and reads nothing; for names of routes the scripts ask smtpadm.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "out.h"

/* Of what route list prints: the names. */
#define FIRST_COLUMN "NR > 1 { print $1 }"
#define FISH_ROUTES "(smtpadm route list 2>/dev/null | awk \"NR > 1 { print \\$1 }\")"

/* Whether a row is the first of its noun. */
static bool
is_first(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(command_row(k)->noun, command_row(i)->noun) == 0)
			return false;
	return true;
}

static void
put_nouns(void)
{
	for (size_t i = 0; command_row(i) != NULL; i++)
		if (is_first(i))
			printf("%s%s", i != 0 ? " " : "", command_row(i)->noun);
}

static void
put_verbs(const char *noun)
{
	const char *blank = "";

	for (size_t i = 0; command_row(i) != NULL; i++) {
		if (strcmp(command_row(i)->noun, noun) != 0 || command_row(i)->verb == NULL)
			continue;
		printf("%s%s", blank, command_row(i)->verb);
		blank = " ";
	}
}

static void
put_options(uint64_t mask)
{
	const char *blank = "";

	for (size_t i = 0; i < OPT_COUNT; i++) {
		if ((mask & (1ULL << i)) == 0)
			continue;
		printf("%s--%s", blank, command_options[i].name);
		blank = " ";
	}
}

/* "a|b|c" as words; a value that is called by a name has none. */
static void
put_values(const char *value)
{
	if (strchr(value, '|') == NULL || strpbrk(value, "+-=:") != NULL)
		return;
	for (; *value != 0; value++)
		putchar(*value == '|' ? ' ' : *value);
}

/* Whether an option's value is a route's name. */
static bool
is_route(const struct option *o)
{
	return strcmp(o->value, "ROUTE") == 0 || (strcmp(o->name, "route") == 0 && strcmp(o->value, "GLOB") == 0);
}

/* Whether a command's own word is one. */
static bool
wants_route(const struct command *c)
{
	return strcmp(c->noun, "route") == 0 && c->max == 1;
}

/* What may follow an option, of one noun or of any other. */
static void
put_option_case(const char *noun, const struct option *o)
{
	if (o->value == NULL)
		return;
	printf("\t%s' --%s') choices='", noun != NULL ? noun : "*", o->name);
	put_values(o->value);
	printf("' flags= global= value=%s ;;\n", strcmp(o->value, "DIR") == 0 ? "dir" :
	    strcmp(o->value, "FILE") == 0 ? "file" : is_route(o) ? "route" : "word");
}

/* A shell function's cases: the verbs of a noun, the options of a command, the values of an option. */
static void
put_cases(void)
{
	printf("\tcase \"$noun\" in\n\t'') choices='");
	put_nouns();
	printf("' ;;\n");
	for (size_t i = 0; command_row(i) != NULL; i++) {
		if (!is_first(i))
			continue;
		printf("\t%s) choices='", command_row(i)->noun);
		put_verbs(command_row(i)->noun);
		printf("' ;;\n");
	}
	printf("\tesac\n\t[ -n \"$verb\" ] && choices=\n\tcase \"$noun $verb\" in\n");
	for (size_t i = 0; command_row(i) != NULL; i++) {
		const struct command *c = command_row(i);

		printf("\t'%s %s') flags='", c->noun, c->verb != NULL ? c->verb : "");
		put_options(c->options);
		printf("'%s ;;\n", wants_route(c) ? " value=route" : "");
	}
	printf("\tesac\n\tcase \"$noun $before\" in\n");
	for (size_t k = 0; command_row(k) != NULL; k++)
		for (size_t i = 0; i < OPT_COUNT && is_first(k); i++)
			if (command_option(command_row(k)->noun, (enum option_id)i) != &command_options[i])
				put_option_case(command_row(k)->noun, command_option(command_row(k)->noun, (enum option_id)i));
	for (size_t i = 0; i < OPT_COUNT; i++)
		put_option_case(NULL, &command_options[i]);
	printf("\tesac\n");
}

/* The options that take a value, as a pattern of case. */
static void
put_valued(void)
{
	const char *bar = "";

	for (size_t i = 0; i < OPT_COUNT; i++) {
		if (command_options[i].value == NULL)
			continue;
		printf("%s--%s", bar, command_options[i].name);
		bar = "|";
	}
}

/* What both shells read: noun and verb from the words before the one at the cursor ($@), then the cases. */
static void
put_function(void)
{
	printf("_smtpadm_routes() {\n\tif [ -n \"$root\" ]; then smtpadm --root \"$root\" route list; else smtpadm route list; fi 2>/dev/null |\n"
	    "\t\tawk '" FIRST_COLUMN "'\n}\n");
	printf("_smtpadm_words() {\n\tnoun= verb= before= choices= flags= value= root= global='");
	put_options(OPTIONS_GLOBAL);
	printf("'\n\twhile [ $# -gt 0 ]; do\n\t\tbefore=$1\n\t\tcase \"$1\" in\n"
	    "\t\t--root) root=${2-} ;;\n\t\t--root=*) root=${1#--root=} ;;\n\t\tesac\n\t\tcase \"$1\" in\n\t\t");
	put_valued();
	printf(") [ $# -gt 1 ] && { shift; before=; } ;;\n\t\t-*) ;;\n"
	    "\t\t*) if [ -z \"$noun\" ]; then noun=$1; elif [ -z \"$verb\" ]; then verb=$1; fi ;;\n\t\tesac\n\t\tshift\n\tdone\n");
	put_cases();
	printf("\tif [ \"$value\" = route ]; then choices=$(_smtpadm_routes); fi\n}\n");
}

static void
put_bash(void)
{
	printf("# bash completion for smtpadm: source it, or put it into /usr/share/bash-completion/completions/smtpadm\n");
	put_function();
	printf("_smtpadm() {\n\tlocal noun verb before choices flags global value root cur=${COMP_WORDS[COMP_CWORD]}\n"
	    "\t_smtpadm_words \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n\tCOMPREPLY=()\n"
	    "\tcase \"$value\" in\n\tdir) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
	    "\tfile) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n\tesac\n"
	    "\tcase \"$cur\" in\n\t-*) COMPREPLY=($(compgen -W \"$flags $global\" -- \"$cur\")) ;;\n"
	    "\t*) COMPREPLY=($(compgen -W \"$choices\" -- \"$cur\")) ;;\n\tesac\n}\ncomplete -F _smtpadm smtpadm\n");
}

static void
put_zsh(void)
{
	printf("#compdef smtpadm\n# zsh completion for smtpadm: put it as _smtpadm into a folder of $fpath\n");
	put_function();
	printf("_smtpadm() {\n\tlocal noun verb before choices flags global value root\n"
	    "\tlocal -a given\n\tgiven=(\"${(@)words[2,CURRENT-1]}\")\n"
	    "\t_smtpadm_words \"${given[@]}\"\n\tcase \"$value\" in\n\tdir) _files -/; return ;;\n\tfile) _files; return ;;\n\tesac\n"
	    "\tif [[ $PREFIX == -* ]]; then\n\t\tcompadd -- ${=flags} ${=global}\n\telse\n\t\tcompadd -- ${=choices}\n\tfi\n}\n"
	    "_smtpadm \"$@\"\n");
}

/* One sentence in single quotes for fish. */
static void
put_quoted(const char *text)
{
	putchar('\'');
	for (; *text != 0; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void
put_fish_options(uint64_t mask, const char *condition, const char *noun, const char *verb)
{
	for (size_t i = 0; i < OPT_COUNT; i++) {
		const struct option *o = command_option(noun != NULL ? noun : "", (enum option_id)i);

		if ((mask & (1ULL << i)) == 0)
			continue;
		printf("complete -c smtpadm");
		if (condition != NULL)
			printf(" -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s'", noun, verb != NULL ? verb : noun);
		printf(" -l %s", o->name);
		if (o->letter != 0)
			printf(" -s %c", o->letter);
		if (o->value != NULL) {
			bool is_file = strcmp(o->value, "FILE") == 0 || strcmp(o->value, "DIR") == 0;

			printf(is_file ? " -rF -a '" : " -x -a '");
			if (is_route(o))
				printf(FISH_ROUTES);
			else
				put_values(o->value);
			printf("'");
		}
		printf(" -d ");
		put_quoted(o->help);
		printf("\n");
	}
}

static void
put_fish(void)
{
	printf("# fish completion for smtpadm: put it into ~/.config/fish/completions/smtpadm.fish\n"
	    "set -l nouns ");
	put_nouns();
	printf("\ncomplete -c smtpadm -f\n");
	put_fish_options(OPTIONS_GLOBAL, NULL, NULL, NULL);
	for (size_t i = 0; command_row(i) != NULL; i++) {
		const struct command *c = command_row(i);

		if (is_first(i))
			printf("complete -c smtpadm -n \"not __fish_seen_subcommand_from $nouns\" -a %s\n", c->noun);
		if (c->verb != NULL) {
			printf("complete -c smtpadm -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ", c->noun);
			put_verbs(c->noun);
			printf("' -a %s -d ", c->verb);
			put_quoted(c->help);
			printf("\n");
		}
		if (wants_route(c))
			printf("complete -c smtpadm -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s' -a '" FISH_ROUTES "'\n",
			    c->noun, c->verb);
		put_fish_options(c->options, "", c->noun, c->verb);
	}
}

static int
print(const struct admin *a, void (*put)(void))
{
	(void)a;
	put();
	return EX_OK;
}

int
cmd_completion_bash(struct admin *a)
{
	return print(a, put_bash);
}

int
cmd_completion_zsh(struct admin *a)
{
	return print(a, put_zsh);
}

int
cmd_completion_fish(struct admin *a)
{
	return print(a, put_fish);
}
