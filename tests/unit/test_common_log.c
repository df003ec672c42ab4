/*
 * Log lines: one event is one line, and no foreign octet ends it or starts a field.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"

static char written[16384];

/* Standard error goes into `written` while `what` runs. */
static void
capture(void (*what)(void))
{
	char path[] = "/tmp/postern-unit.XXXXXX";
	int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0);
	unlink(path);
	dup2(fd, STDERR_FILENO);
	what();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fd, written, sizeof(written) - 1, 0);
	close(fd);
	assert_true(n >= 0);
	written[n] = 0;
}

static void
log_plain(void)
{
	log_open("postern-test", LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_INFO, 0x1234, "begin", "peer", "192.0.2.1", "left_out", NULL, "n", "7", NULL);
	log_event(LOG_LEVEL_DEBUG, 1, "hidden", NULL);
	log_event(LOG_LEVEL_ALARM, 0, "crash", NULL);
}

static void
plain_events(void **state)
{
	char *second;

	(void)state;
	capture(log_plain);
	assert_int_equal(strncmp(written, "session=0000000000001234 time=20", 32), 0);
	assert_non_null(strstr(written, "Z level=info program=postern-test event=begin peer=192.0.2.1 n=7\n"));
	assert_null(strstr(written, "hidden"));
	assert_null(strstr(written, "left_out"));
	second = strchr(written, '\n') + 1;
	assert_int_equal(strncmp(second, "time=20", 7), 0);
	assert_non_null(strstr(second, "Z level=alarm program=postern-test event=crash\n"));
	assert_string_equal(strchr(second, '\n'), "\n");
}

static const struct {
	const char	*value, *shown;
} values[] = {
	{ "plain", "plain" },
	{ "alice@example.org", "alice@example.org" },
	{ "", "\"\"" },
	{ "two words", "\"two words\"" },
	{ "a=b", "\"a=b\"" },
	{ "a\"b", "\"a\\\"b\"" },
	{ "a\\b", "\"a\\\\b\"" },
	{ "a\nlevel=alarm event=fake", "\"a\\x0alevel=alarm event=fake\"" },
	{ "a\r\tb", "\"a\\x0d\\x09b\"" },
	{ "\x1b[31m", "\"\\x1b[31m\"" },
	{ "\x7f", "\"\\x7f\"" },
	{ "j\xc3\xb6rg", "\"j\\xc3\\xb6rg\"" },
	{ "\x9b", "\"\\x9b\"" },
};
static size_t row;

static void
log_value(void)
{
	log_event(LOG_LEVEL_INFO, 0, "e", "value", values[row].value, "next", "1", NULL);
}

static void
foreign_values(void **state)
{
	char wanted[256];

	(void)state;
	for (row = 0; row < COUNT(values); row++) {
		capture(log_value);
		snprintf(wanted, sizeof(wanted), " event=e value=%s next=1\n", values[row].shown);
		check_row(row, strstr(written, wanted) != NULL);
		check_row(row, strchr(written, '\n') == written + strlen(written) - 1);
	}
}

static char long_value[20000];

static void
log_long(void)
{
	log_event(LOG_LEVEL_INFO, 0, "e", "a", long_value, "b", long_value, "c", long_value, "d", long_value, NULL);
}

static void
long_values(void **state)
{
	static const char fillers[] = { 'x', '\n', '"', ' ' };

	(void)state;
	for (size_t i = 0; i < sizeof(fillers); i++) {
		memset(long_value, fillers[i], sizeof(long_value) - 1);
		capture(log_long);
		check_row(i, strlen(written) <= 4096);
		check_row(i, strchr(written, '\n') == written + strlen(written) - 1);
	}
	memset(long_value, 0, sizeof(long_value));
	memset(long_value, 'x', 512);
	capture(log_long);
	assert_non_null(strstr(written, " b=xxx"));	/* 512 octets need no quotes, 513 are cut */
	long_value[512] = 'x';
	capture(log_long);
	assert_non_null(strstr(written, " b=\"xxx"));
}

static const struct {
	const char	*value, *shown;
} json_values[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "two words", "two words" },
	{ "a\"b\\c", "a\\\"b\\\\c" },
	{ "a\r\n\tb\x7f", "a\\u000d\\u000a\\u0009b\\u007f" },
	{ "j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x93\xae", "j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x93\xae" },
	{ "\xc2\x9b[31m", "\\u009b[31m" },
	{ "a\x9b\xc3", "a\\ufffd\\ufffd" },
	{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },	/* a surrogate */
	{ "\xff\xc3(", "\\ufffd\\ufffd(" },
	{ "\"}\n{\"level\":\"alarm", "\\\"}\\u000a{\\\"level\\\":\\\"alarm" },
};

static void
log_json_value(void)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_event(LOG_LEVEL_INFO, row == 0 ? 0x1234 : 0, "e", "value", json_values[row].value, "next", "1", NULL);
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
}

static void
json_lines(void **state)
{
	char wanted[256];

	(void)state;
	for (row = 0; row < COUNT(json_values); row++) {
		capture(log_json_value);
		snprintf(wanted, sizeof(wanted), ",\"level\":\"info\",\"program\":\"postern-test\",\"event\":\"e\",\"value\":\"%s\",\"next\":\"1\"}\n",
		    json_values[row].shown);
		check_row(row, strstr(written, wanted) != NULL);
		check_row(row, strchr(written, '\n') == written + strlen(written) - 1);
		check_row(row, strstr(written, row == 0 ? "{\"session\":\"0000000000001234\",\"time\":\"20" : "{\"time\":\"20") == written);
	}
}

static void
log_json_long(void)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_long();
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
}

/* What has no room is left out whole: the line always ends as an object does, and no character is cut. */
static void
long_json_lines(void **state)
{
	static const char *const fillers[] = { "x", "\n", "\"", "\xe2\x82\xac", "\xff" };

	(void)state;
	for (size_t i = 0; i < COUNT(fillers); i++) {
		size_t n = strlen(fillers[i]), len;

		for (size_t at = 0; at + n < sizeof(long_value); at += n)
			memcpy(long_value + at, fillers[i], n + 1);
		capture(log_json_long);
		len = strlen(written);
		check_row(i, len <= 4096 && strcmp(written + len - 3, "\"}\n") == 0);
		check_row(i, strstr(written, "\"a\":\"") != NULL && strstr(written, "\xe2\"") == NULL);
	}
}

static void
fatal_ends_with_the_code(void **state)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		log_open("posternd", LOG_LEVEL_INFO);
		log_fatal(78, "%s:%d: bad", "file", 3);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(fds[0], written, sizeof(written) - 1);
	close(fds[0]);
	assert_true(n > 0);
	written[n] = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 78);
	assert_string_equal(written, "posternd: file:3: bad\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_events),
		cmocka_unit_test(foreign_values),
		cmocka_unit_test(long_values),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(long_json_lines),
		cmocka_unit_test(fatal_ends_with_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
