/*
 * The parts of a message: which are attachments, what size they have decoded, what is malformed; every message whole,
 * octet by octet and at every cut, and with a limit one octet below each attachment.
 */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "mime.h"

#define LEAVES 6
#define NO_LIMIT UINT64_MAX

struct mime_case {
	const char	*message;
	size_t		 n;
	const char	*reason;	/* NULL: well formed */
	struct {
		uint64_t	 octets;
		const char	*name;
	}		 leaves[LEAVES];
};

/* A header that makes a multipart with the boundary b; a part that is an attachment; the end. */
#define MIXED "From: a@b.c\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
#define BIN "Content-Type: application/octet-stream\r\n"
#define PDF "Content-Type: application/pdf; name=\"x.pdf\"\r\n"
#define B64 "Content-Transfer-Encoding: base64\r\n"
#define QP "Content-Transfer-Encoding: quoted-printable\r\n"
#define NEVER "the boundary of a multipart never comes"
#define TWO_TYPES "a part has two Content-Type fields that differ"

static const struct mime_case cases[] = {
	/* No multipart: one leaf, or none. */
	{ TEXT(""), NULL, { { 0 } } },
	{ TEXT("\r\n"), NULL, { { 0 } } },
	{ TEXT("Subject: x\r\n\r\nhello\r\n"), NULL, { { 0 } } },
	{ TEXT("Subject: x\r\n"), NULL, { { 0 } } },
	{ TEXT("no header at all\r\n--b\r\n"), NULL, { { 0 } } },
	{ TEXT(PDF "\r\n"), NULL, { { 0, "x.pdf" } } },
	{ TEXT(PDF "\r\n12345\r\n"), NULL, { { 7, "x.pdf" } } },
	{ TEXT(PDF), NULL, { { 0, "x.pdf" } } },
	{ TEXT("content-TYPE: IMAGE/PNG\r\ncontent-transfer-ENCODING: BASE64\r\n\r\nQUJD\r\n"), NULL,
	    { { 3, "part 1" } } },
	{ TEXT("Content-Type:application/x-y\r\nno field\r\nabc\r\n"), NULL, { { 15, "part 1" } } },
	{ TEXT("Content-Type: text/plain; name=n.txt\r\n\r\nabc\r\n"), NULL, { { 5, "n.txt" } } },
	{ TEXT("Content-Disposition: attachment\r\n\r\nabc\r\n"), NULL, { { 5, "part 1" } } },
	{ TEXT("Content-Disposition: inline\r\n\r\nabc\r\n"), NULL, { { 0 } } },
	{ TEXT("Content-Disposition: inline; filename=f\r\n\r\nabc\r\n"), NULL, { { 5, "f" } } },
	{ TEXT("Content-Disposition: x-new\r\n\r\nabc\r\n"), NULL, { { 5, "part 1" } } },
	{ TEXT("Content-Type: text/plain; name=\"\"\r\n\r\nabc\r\n"), NULL, { { 0 } } },
	{ TEXT("Content-Type: nonsense\r\n\r\nabc\r\n"), NULL, { { 5, "part 1" } } },
	{ TEXT("Content-Type: text\r\n\r\nabc\r\n"), NULL, { { 0 } } },
	{ TEXT("Content-Type: (a (comment\\) here))application (x) / (y) pdf (z)\r\n\r\nabc\r\n"), NULL,
	    { { 5, "part 1" } } },
	/* Fields: folded, blanks before the colon, a continuation first, where the header ends. */
	{ TEXT("Content-Type:\r\n application/pdf;\r\n\tname=\r\n x.pdf\r\n\r\nabc\r\n"), NULL, { { 5, "x.pdf" } } },
	{ TEXT("Content-Type \t: application/pdf\r\n\r\nabc\r\n"), NULL, { { 5, "part 1" } } },
	{ TEXT(" folded\r\n" PDF "\r\nabc\r\n"), NULL, { { 0 } } },
	{ TEXT("X: y\r\n \r\n" PDF "\r\nabc\r\n"), NULL, { { 5, "x.pdf" } } },
	{ TEXT("From me Mon Jan 1\r\n" PDF "\r\nabc\r\n"), NULL, { { 0 } } },
	{ TEXT(": no name\r\n" PDF "\r\nabc\r\n"), NULL, { { 0 } } },
	/* What belongs to a part. */
	{ TEXT(MIXED "preamble\r\n--b\r\n\r\ntext\r\n--b\r\n" BIN "\r\nabc\r\n--b--\r\nepilogue\r\n--b\r\n" BIN "\r\n"
	    "abc\r\n"), NULL, { { 3, "part 2" } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\n\r\n--b\r\n" BIN "\r\n--b\r\n" BIN "--b\r\n" BIN "\r\n\r\n\r\n--b--\r\n"), NULL,
	    { { 0, "part 1" }, { 0, "part 2" }, { 0, "part 3" }, { 2, "part 4" } } },
	{ TEXT(MIXED "--b\r\n--b\r\n--b--"), NULL, { { 0 } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\nabc\r\n"), NULL, { { 5, "part 1" } } },
	{ TEXT(MIXED "--b \t \r\n" BIN "\r\nabc\r\n--b--  \t\r\nabc\r\n"), NULL, { { 3, "part 1" } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\n--bb\r\n-b\r\n--\r\n--b x\r\n--b--x\r\n --b\r\n--B\r\nx--b\r\n--b---\r\n"
	    "--b--\r\n"), NULL, { { 52, "part 1" } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\nabc--b--\r\n\r\n--b--\r\n"), NULL, { { 10, "part 1" } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\nabc\n--b--\n"), NULL, { { 3, "part 1" } } },
	{ TEXT(MIXED "--b--\r\n"), NULL, { { 0 } } },
	{ TEXT(MIXED "--b\r\nX: y\r\n--b\r\n" PDF "no field\r\n--b--\r\n"), NULL, { { 8, "x.pdf" } } },
	{ TEXT(MIXED "--b\r\n" PDF "Subject: x\r\n y\r\n--b\r\n" PDF "\r\n1\r\n--b--\r\n"), NULL,
	    { { 0, "x.pdf" }, { 1, "x.pdf" } } },
	/* The line that ends the header is the body's first. */
	{ TEXT("Content-Type: multipart/mixed; boundary=b\r\n--b\r\n" BIN "\r\nabc\r\n--b--\r\n"), NULL,
	    { { 3, "part 1" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n--c\r\n" BIN "\r\nabc\r\n--b--\r\n"), NULL,
	    { { 3, "part 1.1" } } },
	/* Boundaries as parameters. */
	{ TEXT("Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n" BIN "\r\n1\r\n--b--"), NULL,
	    { { 1, "part 1" } } },
	{ TEXT("Content-Type: MULTIPART/x(c); x=\"b\\\"; boundary=z\" (;) ; BOUNDARY = (d) \"b\\c:=\"\r\n\r\n"
	    "--bc:=\r\n" BIN "\r\n1\r\n--bc:=--"),
	    NULL, { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed boundary=----=_Part/1:2?\r\n\r\n------=_Part/1:2?\r\n" BIN "\r\n1\r\n"
	    "------=_Part/1:2?--"), NULL, { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed; boundary*0=\"b\";\r\n boundary*1*=%63\r\n\r\n--bc\r\n" BIN "\r\n1\r\n"
	    "--bc--"), NULL, { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed; boundary*=us-ascii'en'b%20c\r\n\r\n--b c\r\n" BIN "\r\n1\r\n--b c--"),
	    NULL, { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=a:b\r\n\r\n--a:b\r\n" BIN "\r\n1\r\n--a:b\r\n--a:b--"), NULL,
	    { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=b; boundary=b\r\n\r\n--b\r\n" BIN "\r\n1\r\n--b--"), NULL,
	    { { 1, "part 1" } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n--b\r\n--b--\r\n--c--"),
	    "a multipart has two boundary parameters", { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=b; boundary*=c\r\n\r\n--b\r\n--b--"),
	    "a multipart has two boundary parameters", { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; boundary*1=b; boundary*0=c\r\n\r\n--c\r\n--cb\r\n"),
	    "a multipart has two boundary parameters", { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; charset=x\r\n\r\n--b\r\n"), "a multipart has no boundary", { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"), "a multipart has no boundary",
	    { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; (boundary=b\r\n\r\n--b\r\n"), "a multipart has no boundary", { { 0 } } },
	{ TEXT(MIXED "abc\r\n--bb\r\n--B\r\n"), NEVER, { { 0 } } },
	{ TEXT(MIXED), NEVER, { { 0 } } },
	{ TEXT("Content-Type: multipart/mixed; boundary=b"), NEVER, { { 0 } } },
	{ TEXT(MIXED "--b\r\n" BIN "\r\nabc\r\n--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\nx\r\n--b--\r\n"),
	    NEVER, { { 3, "part 1" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=c\r\n--b--\r\n"), NEVER, { { 0 } } },
	/* Multiparts in multiparts; boundaries that are prefixes of each other, or the same. */
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--b c\r\n--c\r\n" PDF "\r\n1\r\n--c--\r\n"
	    "abc\r\n--c\r\n--b\r\n" BIN
	    "\r\n22\r\n--b--\r\n"), NULL, { { 1, "x.pdf" }, { 2, "part 2" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n" BIN "\r\n1\r\n--b\r\n" BIN "\r\n"
	    "22\r\n--b--\r\n--c\r\n" BIN),
	    NULL, { { 1, "part 1.1" }, { 2, "part 2" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=bb\r\n\r\n--bb\r\n" BIN "\r\n1\r\n--bb\r\n" BIN "\r\n"
	    "22\r\n--bb--\r\n--b\r\n" BIN
	    "\r\n333\r\n--b--\r\n"), NULL, { { 1, "part 1.1" }, { 2, "part 1.2" }, { 3, "part 2" } } },
	{ TEXT("Content-Type: multipart/x; boundary=bb\r\n\r\n--bb\r\nContent-Type: multipart/x; boundary=b\r\n\r\n"
	    "--b\r\n" BIN
	    "\r\n1\r\n--bb\r\n" BIN "\r\n22\r\n--bb--\r\n"), NULL, { { 1, "part 1.1" }, { 2, "part 2" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=\"b--\"\r\n\r\n--b--\r\n" BIN "\r\n1\r\n--b----\r\n"
	    "--b\r\n" BIN "\r\n22\r\n--b--"),
	    NULL, { { 1, "part 1.1" }, { 2, "part 2" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n" BIN "\r\n1\r\n--b--\r\n--b\r\n" BIN
	    "\r\n22\r\n--b--"), NULL, { { 1, "part 1.1" }, { 2, "part 2" } } },
	/* Messages in messages. */
	{ TEXT(MIXED "--b\r\nContent-Type: message/rfc822; name=\"mail.eml\"\r\nContent-Disposition: attachment\r\n\r\n"
	    "Subject: x\r\n\r\ntext\r\n"
	    "--b\r\nContent-Type: message/RFC822\r\n\r\n" PDF "\r\n4444\r\n--b\r\n"
	    "Content-Type: message/global\r\n\r\n" BIN "\r\n1\r\n--b--"), NULL, { { 4, "x.pdf" }, { 1, "part 3.1" } } },
	{ TEXT("Content-Type: message/rfc822\r\n\r\n" BIN "\r\n333"), NULL, { { 3, "part 1" } } },
	{ TEXT("Content-Type: message/rfc822\r\n\r\n>From x\r\n" BIN "\r\n333"), NULL, { { 3, "part 1" } } },
	{ TEXT("Content-Type: message/rfc822\r\n\r\nFrom x\r\nFrom y\r\n" BIN "\r\n333"), NULL, { { 0 } } },
	{ TEXT("Content-Type: message/rfc822\r\nno field\r\n\r\n" BIN "\r\n333"), NULL, { { 0 } } },
	{ TEXT("Content-Type: message/rfc822\r\n" B64 "\r\nQUJD\r\n"), NULL, { { 3, "part 1" } } },
	{ TEXT("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: x\r\n\r\nQUJD\r\n"), NULL,
	    { { 6, "part 1" } } },
	{ TEXT("Content-Type: message/delivery-status\r\n\r\nX: y\r\n"), NULL, { { 6, "part 1" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=c\r\n\r\n"
	    "--c\r\n" BIN "\r\n1\r\n--b\r\n" BIN
	    "\r\n22\r\n--b--"), NULL, { { 1, "part 1.1" }, { 2, "part 2" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--b--"),
	    NEVER, { { 0 } } },
	{ TEXT("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" BIN "\r\n1\r\n--b\r\n"
	    "Content-Type: text/plain\r\n\r\n" BIN
	    "\r\n22\r\n--b\r\n--b--"), NULL, { { 1, "part 1.1" } } },
	/* Fields given twice. */
	{ TEXT("Content-Type: text/plain\r\nContent-Type: text/html; name=a.html\r\n\r\n1"), NULL,
	    { { 1, "a.html" } } },
	{ TEXT("Content-Type: text/plain\r\nContent-Type: image/png\r\n\r\n1"), NULL, { { 1, "part 1" } } },
	{ TEXT("Content-Type: image/png\r\nContent-Type: text/plain\r\n\r\n1"), NULL, { { 1, "part 1" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: text/plain\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n"),
	    TWO_TYPES, { { 0 } } },
	{ TEXT("Content-Type: multipart/x; boundary=b\r\nContent-Type: text/plain\r\n\r\n--b\r\n"), TWO_TYPES,
	    { { 0 } } },
	{ TEXT("Content-Type: multipart/x; boundary=b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--b\r\n"),
	    TWO_TYPES, { { 0 } } },
	{ TEXT("Content-Type: message/rfc822\r\nContent-Type: image/png\r\n\r\n\r\n"), TWO_TYPES, { { 0 } } },
	{ TEXT("Content-Type: multipart/x; boundary=b\r\nContent-Type: multipart/y; boundary=\"b\"\r\n\r\n--b\r\n" BIN
	    "\r\n1\r\n--b--"), NULL, { { 1, "part 1" } } },
	{ TEXT(BIN B64 QP "\r\nQUJD\r\n"), NULL, { { 6, "part 1" } } },
	{ TEXT(BIN B64 B64 "\r\nQUJD\r\n"), NULL, { { 3, "part 1" } } },
	{ TEXT("Content-Disposition: inline\r\nContent-Disposition: attachment; filename=f\r\n\r\n1"), NULL,
	    { { 1, "f" } } },
	/* Encodings, behind a delimiter's line end. */
	{ TEXT(MIXED "--b\r\n" BIN B64 "\r\nQUJD\r\nQU-JD\r\nQQ\r\n--b\r\n" BIN QP "\r\na=3D \r\nb=\r\n\r\n"
	    "--b\r\n" BIN QP "\r\na=\r\n--b--"), NULL, { { 7, "part 1" }, { 5, "part 2" }, { 1, "part 3" } } },
	{ TEXT(MIXED "--b\r\n" BIN B64 "\r\n--bQUJD\r\n-\r\n--b--"), NULL, { { 3, "part 1" } } },
	{ TEXT(MIXED "--b\r\nContent-Type: multipart/x; boundary=c\r\n" B64 "\r\n--c\r\n" BIN "\r\n1\r\n--c--\r\n"
	    "--b--"), NULL, { { 1, "part 1.1" } } },
};

static size_t
count_leaves(const struct mime_case *c)
{
	size_t n = 0;

	while (n < LEAVES && c->leaves[n].name != NULL)
		n++;
	return n;
}

/* Feeds a case, cut in pieces of `piece` octets behind the first `cut`, from memory where an octet too far shows. */
static void
feed(struct mime *m, const struct mime_case *c, uint64_t limit, size_t cut, size_t piece)
{
	/* What mime_init() leaves as it is must not matter. */
	memset(m, 0xa5, sizeof(*m));
	mime_init(m, limit);
	for (size_t at = 0; at < c->n;) {
		size_t n = at < cut ? cut - at : c->n - at < piece ? c->n - at : piece;
		uint8_t *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, c->message + at, n);
		mime_feed(m, copy, n);
		free(copy);
		at += n;
	}
	mime_end(m);
}

static void
check_unlimited(size_t row, const struct mime *m)
{
	const struct mime_case *c = &cases[row];
	uint64_t total = 0, largest = 0;
	size_t n = count_leaves(c);

	for (size_t i = 0; i < n; i++) {
		total += c->leaves[i].octets;
		if (c->leaves[i].octets > largest)
			largest = c->leaves[i].octets;
	}
	check_row(row, m->verdict == (c->reason == NULL ? MIME_OK : MIME_MALFORMED));
	check_row(row, c->reason == NULL || strcmp(m->reason, c->reason) == 0);
	if (m->attachments != n || m->total != total)
		print_error("%u attachments of %llu octets\n", m->attachments, (unsigned long long)m->total);
	check_row(row, m->attachments == n);
	check_row(row, m->total == total);
	check_row(row, m->largest == largest);
}

/* One octet below a leaf's size: the first leaf above that is named. */
static void
check_limited(size_t row, const struct mime *m, uint64_t limit)
{
	const struct mime_case *c = &cases[row];
	size_t i = 0;

	while (c->leaves[i].octets <= limit)
		i++;
	check_row(row, m->verdict == MIME_ATTACHMENT_TOO_BIG);
	if (strcmp(m->name, c->leaves[i].name) != 0)
		print_error("named %s\n", m->name);
	check_row(row, strcmp(m->name, c->leaves[i].name) == 0);
}

static void
every_cut_gives_the_same(void **state)
{
	static struct mime m;

	(void)state;
	for (size_t row = 0; row < COUNT(cases); row++) {
		const struct mime_case *c = &cases[row];

		for (size_t cut = 0; cut <= c->n; cut++) {
			feed(&m, c, NO_LIMIT, cut, cut == 0 ? 1 : SIZE_MAX);
			check_unlimited(row, &m);
			for (size_t i = 0; i < count_leaves(c); i++) {
				if (c->leaves[i].octets == 0)
					continue;
				feed(&m, c, c->leaves[i].octets - 1, cut, cut == 0 ? 1 : SIZE_MAX);
				check_limited(row, &m, c->leaves[i].octets - 1);
			}
		}
	}
}

/* Exactly the largest attachment's size passes. */
static void
limit_is_inclusive(void **state)
{
	static struct mime m;

	(void)state;
	for (size_t row = 0; row < COUNT(cases); row++) {
		feed(&m, &cases[row], NO_LIMIT, 0, SIZE_MAX);
		feed(&m, &cases[row], m.largest, 0, 1);
		check_unlimited(row, &m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_gives_the_same), cmocka_unit_test(limit_is_inclusive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
