/*
 * The trace's lines and files: what was written is read back, whatever the values hold; a message is found by each of its sides, over
 * days, and what is cut or damaged is passed over.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "io.h"
#include "log_line.h"
#include "name.h"
#include "spool.h"
#include "str.h"
#include "trace_file.h"
#include "trace_read.h"
#include "unit.h"

#define DAY_US 86400000000ULL

static char root[] = "/tmp/postern-trace-XXXXXX";
static struct spool_dirs dirs;

static int
setup(void **state)
{
	(void)state;
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	if (mkdtemp(root) == NULL || (dirs.root_fd = open(root, O_RDONLY | O_DIRECTORY)) < 0)
		return -1;
	return mkdirat(dirs.root_fd, TRACE_FOLDER, 0700);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	close(dirs.root_fd);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
append(uint64_t day, const char *text)
{
	int folder = openat(dirs.root_fd, TRACE_FOLDER, O_RDONLY | O_DIRECTORY), fd;
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(buf_put_str(&b, text), ERR_OK);
	assert_int_equal(trace_open_day(folder, day, &fd), ERR_OK);
	assert_int_equal(trace_append_to(fd, &b), ERR_OK);
	buf_free(&b);
	close(fd);
	close(folder);
}

static void
test_names(void **state)
{
	static const char *const bad[] = { "", "2026-11-2", "2026-11-22x", "2026-13-01", "2026-02-30", "x026-11-22", "2026-11-22/", "-026-11-22", "1969-12-31" };
	char text[TRACE_NAME], time[28];
	uint64_t day;

	(void)state;
	for (uint64_t i = 0; i < 60000; i += 7) {
		assert_int_equal(trace_get_name(trace_put_name(text, i), &day), ERR_OK);
		assert_int_equal(day, i);
	}
	trace_put_name(text, UINT64_MAX);
	assert_int_equal(strlen(text), 10);
	for (size_t i = 0; i < COUNT(bad); i++)
		check_row(i, trace_get_name(bad[i], &day) == ERR_SYNTAX);
	assert_string_equal(trace_put_time(time, 1795310000123456ULL), "2026-11-22T01:13:20.123Z");
}

static void
test_lines(void **state)
{
	static const char *const values[] = { "", "plain", "two words", "a=b", "\"quoted\"", "back\\slash", "\r\n\t\x01\x7f", "\xc3\xbc\xff",
	    "\\x41", "end\\", " " };
	static struct trace_line l;
	struct log_line out;

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		log_line_begin(&out, LOG_FORMAT_LOGFMT);
		log_line_put(&out, "time", "2026-11-22T01:13:20.123Z");
		log_line_put(&out, "id", "0sgd8c7jhv3ker6t");
		log_line_put(&out, "session", "000660d430ee6a8c");
		log_line_put(&out, "event", "deferred");
		log_line_put(&out, "reply", values[i]);
		log_line_put(&out, "last", "x");
		log_line_end(&out);
		check_row(i, trace_get_line(out.text, out.len - 1, &l) == ERR_OK);
		check_row(i, strcmp(trace_value(&l, "reply"), values[i]) == 0 && strcmp(trace_value(&l, "last"), "x") == 0);
		assert_int_equal(l.session, 0x000660d430ee6a8c);
		assert_string_equal(l.id, "0sgd8c7jhv3ker6t");
		assert_int_equal(trace_time(&l), 1795310000123000ULL);
		assert_null(trace_value(&l, "none"));
		/* Cut at every octet: an error, or a shorter line that is whole. */
		for (size_t n = 0; n < out.len - 1; n++) {
			char *copy = malloc(n + 1);

			memcpy(copy, out.text, n);
			(void)trace_get_line(copy, n, &l);
			free(copy);
		}
	}
	assert_int_equal(trace_get_line(TEXT("event=x"), &l), ERR_SYNTAX);
	assert_int_equal(trace_get_line(TEXT("time=2026-11-22T01:13:20.123Z"), &l), ERR_SYNTAX);
	assert_int_equal(trace_get_line(TEXT("time=2026-11-22T01:13:20.123Z event=\"x"), &l), ERR_SYNTAX);
	assert_int_equal(trace_get_line(TEXT("time=a-time-that-is-longer-than-all-times event=x"), &l), ERR_SYNTAX);
	assert_int_equal(trace_get_line(TEXT("time=2026-11-22T01:13:20.123Z id=an-id-that-is-longer-than-any-id-of-ours event=x"), &l), ERR_SYNTAX);
}

#define T "time=2026-11-22T01:13:20.123Z"
#define ID1 "0sgd8c7jhv3ker6t"
#define ID2 "0sgd8c7jhv3ker6v"
#define S1 "session=00000000000000a1"
#define S2 "session=00000000000000a2"

static void
assert_found(const struct trace_query *q, size_t lives, const char *first, size_t lines)
{
	struct trace_found found;

	assert_int_equal(trace_find(&dirs, q, &found), ERR_OK);
	assert_int_equal(found.n, lives);
	if (lives != 0) {
		assert_string_equal(found.lives[0].id, first);
		assert_int_equal(found.lives[0].n, lines);
		assert_non_null(memmem(found.lives[0].lines[0].p, found.lives[0].lines[0].n, TEXT("event=session")));
	}
	trace_found_free(&found);
}

static void
fill(void)
{
	uint64_t us, day;

	assert_int_equal(name_get_id(ID1, strlen(ID1), &us), ERR_OK);
	day = us / DAY_US;
	append(day - 1, T " " S1 " event=session peer=x\n" T " " S1 " event=login account=alice@example.org\n");
	append(day, T " id=" ID1 " " S1 " event=accepted account=alice@example.org sender=a message_id=m1@x\n"
	    T " id=" ID1 " " S1 " event=recipient to=Bob@Example.net\n" "half a line that a crash has le");
	append(day, "ft\n" T " id=" ID1 " " S1 " event=deferred to=Bob@Example.net\n\nnonsense\n");
	append(day + 3, T " " S2 " event=session peer=y\n" T " id=" ID1 " " S1 " event=delivered to=Bob@Example.net\n"
	    T " id=" ID2 " " S2 " event=accepted account=carl@example.org sender=a message_id=\"m 2@x\"\n"
	    T " id=" ID2 " " S2 " event=recipient to=\"j\\xc3\\xb6rg@example.net\"\n" T " id=" ID1 " " S1 " event=done\n"
	    T " " S2 " event=refused account=carl@example.org reason=no_recipients\n");
	append(day + 4, T " id=" ID1 " " S1 " event=later\n" T " id=" ID2 " " S2 " event=do");
}

static void
test_finding(void **state)
{
	static const struct {
		struct trace_query	q;
		size_t			lives, lines;
		const char		*id;
	} rows[] = {
		{ { .id = ID1 }, 1, 7, ID1 }, { { .id = ID2 }, 1, 3, ID2 }, { { .id = "0sgd8c7jhv3kerzz" }, 0, 0, "" }, { { .id = "x" }, 0, 0, "" },
		{ { .id = "" }, 0, 0, "" },
		{ { .message_id = "m1@x" }, 1, 8, ID1 }, { { .message_id = "<m1@x>" }, 1, 8, ID1 }, { { .message_id = "m1@" }, 0, 0, "" },
		{ { .message_id = "m 2@x" }, 1, 3, ID2 }, { { .message_id = "" }, 0, 0, "" },
		{ { .to = "bob@example.net" }, 1, 8, ID1 }, { { .to = "*@EXAMPLE.net" }, 2, 8, ID1 }, { { .to = "bob" }, 0, 0, "" },
		{ { .to = "j\xc3\xb6rg@*" }, 1, 3, ID2 }, { { .to = "*", .limit = 1 }, 1, 3, ID2 },
		{ { .account = "alice@example.org" }, 1, 8, ID1 }, { { .account = "*" }, 3, 8, ID1 },
		{ { .account = "*", .since_us = 1795310000123000ULL + DAY_US }, 0, 0, "" },
		{ { .account = "carl@*", .since_us = 1000 }, 2, 3, ID2 },
	};

	(void)state;
	fill();
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("row %zu\n", i);
		assert_found(&rows[i].q, rows[i].lives, rows[i].id, rows[i].lines);
	}
}

static void
test_following(void **state)
{
	struct trace_query q = { .to = "*@example.net" };
	struct trace_found found;
	uint64_t us;

	(void)state;
	fill();
	assert_int_equal(name_get_id(ID1, strlen(ID1), &us), ERR_OK);
	assert_int_equal(trace_find(&dirs, &q, &found), ERR_OK);
	assert_int_equal(found.n, 2);
	assert_int_equal(trace_find_new(&dirs, &q, &found), ERR_OK);
	assert_int_equal(found.lives[0].n + found.lives[1].n, 0);
	/* The rest of a line, a new day, a new message. */
	append(us / DAY_US + 4, "x\n" T " id=" ID2 " " S2 " event=removed by=0\n");
	append(us / DAY_US + 5, T " id=" ID2 " " S2 " event=odd\n" T " id=0sgd8c7jhv3kerzz " S2 " event=recipient to=new@example.net\n");
	assert_int_equal(trace_find_new(&dirs, &q, &found), ERR_OK);
	assert_int_equal(found.n, 3);
	assert_int_equal(found.lives[0].n, 0);
	assert_int_equal(found.lives[1].n, 3);
	assert_int_equal(found.lives[2].n, 1);
	trace_found_free(&found);
	/* One that comes only while it is followed has its session's lines, too. */
	q = (struct trace_query){ .id = "0sgd8c7jhv3kerzy" };
	assert_int_equal(trace_find(&dirs, &q, &found), ERR_OK);
	assert_int_equal(found.n, 0);
	append(us / DAY_US + 5, T " id=0sgd8c7jhv3kerzy " S2 " event=accepted account=x\n");
	assert_int_equal(trace_find_new(&dirs, &q, &found), ERR_OK);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.lives[0].n, 2);
	trace_found_free(&found);
}

static void
test_no_trace(void **state)
{
	struct trace_query q = { .to = "*" };
	struct trace_found found;

	(void)state;
	assert_found(&q, 0, "", 0);
	assert_int_equal(unlinkat(dirs.root_fd, TRACE_FOLDER, AT_REMOVEDIR), 0);
	assert_int_equal(trace_find(&dirs, &q, &found), ERR_NOTFOUND);
	trace_found_free(&found);
	/* Other things of that name are no trace. */
	assert_int_equal(symlinkat("/etc", dirs.root_fd, TRACE_FOLDER), 0);
	assert_true(trace_find(&dirs, &q, &found) != ERR_OK);
	trace_found_free(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_lines), cmocka_unit_test_setup_teardown(test_finding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_following, setup, teardown), cmocka_unit_test_setup_teardown(test_no_trace, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
