/*
 * Prints the table of replies: a row a line, tab-separated (id, code, enhanced code, text, RFC code, RFC text, cause; "-" where
 * there is none), for tests/e2e/test_replies.py; with --mdoc the manual page postern-replies(7), which is made of nothing else.
 * A tool of the tree, part of no program. The names of the ids are taken from reply.h by the makefile.
 */
#include <stdio.h>
#include <string.h>

#include "reply.h"

static const char *const names[REPLY_COUNT] = {
#include "reply_names.h"
};

static void
print_enhanced(const struct reply *r, const struct reply_form *f)
{
	if ((r->traits & REPLY_BARE) == 0)
		printf("%u.%u.%u", (unsigned)f->enhanced[0], (unsigned)f->enhanced[1], (unsigned)f->enhanced[2]);
	else
		putchar('-');
}

static void
print_rows(void)
{
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		const struct reply *r = reply_find((enum reply_id)id);

		printf("%s\t%u\t", names[id] + strlen("REPLY_"), (unsigned)r->form.code);
		print_enhanced(r, &r->form);
		printf("\t%s\t", r->form.text);
		if (r->rfc.code != 0)
			printf("%u\t%s", (unsigned)r->rfc.code, r->rfc.text);
		else
			printf("-\t-");
		printf("\t%s\n", r->cause);
	}
}

static void
print_escaped(const char *text)
{
	for (; *text != 0; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

/* What stands for the '$' of a text: the host's name in front of words, else something that the cause explains. */
static void
print_text(const struct reply_form *f)
{
	if (strcmp(f->text, "$") == 0) {
		fputs("several lines", stdout);
		return;
	}
	if (f->text[0] == 0) {
		fputs("an empty text", stdout);
		return;
	}
	fputs("\\(lq", stdout);
	for (const char *p = f->text; *p != 0; p++) {
		char one[2] = { *p, 0 };

		if (*p == '$')
			fputs(p == f->text ? "<host>" : "...", stdout);
		else
			print_escaped(one);
	}
	fputs("\\(rq", stdout);
}

static void
print_item(const struct reply *r)
{
	printf(".It %u", (unsigned)r->form.code);
	if ((r->traits & REPLY_BARE) == 0) {
		putchar(' ');
		print_enhanced(r, &r->form);
	}
	/* The zero-width escape keeps a text from being read as a request. */
	fputs("\n\\&", stdout);
	print_text(&r->form);
	fputs(":\n\\&", stdout);
	print_escaped(r->cause);
	fputs(".\n", stdout);
	if (r->rfc.code != 0) {
		printf("With\n.Ql replies = rfc :\n%u ", (unsigned)r->rfc.code);
		print_text(&r->rfc);
		fputs(".\n", stdout);
	}
	if ((r->traits & REPLY_CLOSES) != 0)
		fputs("The session ends.\n", stdout);
}

/* The rows with codes from `from` to `to`, by code; rows of one code in the table's order. */
static void
print_section(const char *title, const char *words, unsigned from, unsigned to)
{
	printf(".Ss %s\n%s\n.Bl -tag -width \"555 5.7.11\"\n", title, words);
	for (unsigned code = from; code <= to; code++) {
		for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
			const struct reply *r = reply_find((enum reply_id)id);

			if (r->form.code == code)
				print_item(r);
		}
	}
	fputs(".El\n", stdout);
}

static void
print_page(void)
{
	fputs(".\\\" Made from the table of replies: make man/postern-replies.7\n"
	    ".Dd November 21, 2026\n.Dt POSTERN-REPLIES 7\n.Os\n"
	    ".Sh NAME\n.Nm postern-replies\n.Nd what Postern answers to a client, and why\n"
	    ".Sh DESCRIPTION\n"
	    "This is every reply that\n.Xr posternd 8\ngives to a client: its code, its enhanced code of RFC 3463 if it has one,\n"
	    "its text, and the cause.\n"
	    "Where its own specification and an RFC differ, the setting\n.Ic replies\nof\n.Xr postern.conf 5\nselects.\n"
	    "Replies 4xx mean that the same may succeed later; after 5xx it is pointless to repeat.\n", stdout);
	print_section("Good replies", "The command was done, or is to be continued.", 200, 399);
	print_section("Temporary refusals", "Clients try again by themselves.", 400, 499);
	print_section("Final refusals", "The message goes back to whoever wrote it.", 500, 599);
	fputs(".Sh SEE ALSO\n.Xr postern.conf 5 ,\n.Xr posternd 8 ,\n.Xr smtpadm 8\n", stdout);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--mdoc") == 0) {
		print_page();
	} else if (argc == 1) {
		print_rows();
	} else {
		fputs("usage: replies [--mdoc]\n", stderr);
		return 64;
	}
	return fflush(stdout) == 0 ? 0 : 74;
}
