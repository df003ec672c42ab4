/*
 * Writing the trace. Run by postern-spool: its loop makes the lines, a commit thread appends them to the file of the day and removes
 * those files that are too old. Invariant: a line stands in its file whole or not at all, and no mail ever waits for it.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "log.h"
#include "log_line.h"
#include "spooler.h"
#include "str.h"
#include "trace_file.h"

#define PENDING_MAX (4u << 20)	/* octets of lines that may wait for a disk that does not answer */
#define GATHER_MS 10		/* from one writing to the next: lines wait for others */
#define GATHER_MAX (64 * 1024)
#define DAY_MS 86400000ULL
#define DAY_US (1000 * DAY_MS)
#define DAYS_BACK 1000		/* how far back old files are looked for: the daemon may have been stopped for long */

static int
open_folder(const struct spooler *sp)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	return openat(sp->dirs.root_fd, TRACE_FOLDER, flags);
}

int
trace_open(struct spooler *sp)
{
	struct trace *t = &sp->trace;

	*t = (struct trace){ .fd = -1, .folder_fd = open_folder(sp) };
	buf_init(&t->pending, PENDING_MAX);
	buf_init(&t->writing, PENDING_MAX);
	return t->folder_fd >= 0 ? ERR_OK : ERR_SYSTEM;
}

static void
put_line(struct trace *t, const struct log_line *l)
{
	if (buf_put(&t->pending, l->text, l->len) != ERR_OK)
		t->dropped++;
}

static void
begin_line(struct log_line *l, uint64_t us, const char *id, uint64_t session, const char *event)
{
	char text[32];

	log_line_begin(l, LOG_FORMAT_LOGFMT);
	log_line_put(l, "time", trace_put_time(text, us));
	if (id != NULL && id[0] != 0)
		log_line_put(l, "id", id);
	if (session != 0)
		log_line_put(l, "session", str_put_hex64(text, session));
	log_line_put(l, "event", event);
}

static void
put_pairs(struct log_line *l, va_list ap)
{
	const char *key;

	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value != NULL)
			log_line_put(l, key, value);
	}
	log_line_end(l);
}

void
trace_event(struct spooler *sp, const char *id, uint64_t session, const char *event, ...)
{
	struct log_line l;
	va_list ap;

	begin_line(&l, io_now_us(), id, session, event);
	va_start(ap, event);
	put_pairs(&l, ap);
	va_end(ap);
	put_line(&sp->trace, &l);
}

void
trace_event_at(struct spooler *sp, uint64_t us, const char *id, uint64_t session, const char *event, ...)
{
	struct log_line l;
	va_list ap;

	begin_line(&l, us, id, session, event);
	va_start(ap, event);
	put_pairs(&l, ap);
	va_end(ap);
	put_line(&sp->trace, &l);
}

/* How many lines a buffer holds. */
static uint64_t
count_lines(const struct buf *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

/* The beginning of a message's life is kept as long as its end: so much longer as a message may be under way. */
static void
submit(struct spooler *sp)
{
	const struct conf *c = &sp->service.conf;

	sp->trace.days_kept = (c->trace_keep + c->delivery_expire) / DAY_MS + 1;
	sp->trace.job.owner = sp;
	pool_submit(&sp->pool, &sp->trace.job, JOB_TRACE);
}

void
trace_flush(struct spooler *sp)
{
	struct trace *t = &sp->trace;
	struct buf filled = t->pending;
	uint64_t now = io_now_ms();

	if (t->job.kind != JOB_NONE || filled.len == 0)
		return;
	/* At once when it is quiet; under load a job for every message would wake a thread for every message. */
	if (now < t->flush_ms && filled.len < GATHER_MAX)
		return;
	t->flush_ms = now + GATHER_MS;
	if (t->folder_fd < 0) {
		t->dropped += count_lines(&t->pending);
		buf_reset(&t->pending);
		return;
	}
	t->pending = t->writing;
	t->writing = filled;
	submit(sp);
}

int
trace_wait_ms(const struct spooler *sp, uint64_t now_ms, int wait_ms)
{
	const struct trace *t = &sp->trace;

	if (t->pending.len == 0 || t->job.kind != JOB_NONE || now_ms + (uint64_t)wait_ms <= t->flush_ms)
		return wait_ms;
	return t->flush_ms > now_ms ? (int)(t->flush_ms - now_ms) : 0;
}

/*
 * A file goes when it is too old and as many younger ones are there as are kept: after a jump of the clock all that there is seems
 * old, and would be gone before anybody could put it back.
 */
static void
remove_old(const struct trace *t, uint64_t today)
{
	uint64_t younger = 0;
	char name[TRACE_NAME];
	struct stat st;

	for (uint64_t back = 1; back <= t->days_kept + DAYS_BACK && back < today; back++) {
		if (fstatat(t->folder_fd, trace_put_name(name, today - back), &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (back <= t->days_kept || younger < t->days_kept)
			younger++;
		else if (unlinkat(t->folder_fd, name, 0) != 0 && errno != ENOENT)
			log_error("trace.not_removed", "file", name, "error", strerror(errno), NULL);
	}
}

void
trace_perform(struct spooler *sp)
{
	struct trace *t = &sp->trace;
	uint64_t today = io_now_us() / DAY_US;
	bool is_new = today != t->day;

	t->job.err = ERR_OK;
	if (t->fd < 0 || is_new) {
		io_close(&t->fd);
		t->job.err = trace_open_day(t->folder_fd, today, &t->fd);
	}
	if (is_new && t->job.err == ERR_OK) {
		t->day = today;
		remove_old(t, today);
	}
	if (t->job.err == ERR_OK && t->writing.len != 0)
		t->job.err = trace_append_to(t->fd, &t->writing);
	t->error = errno;
}

void
trace_finish(struct spooler *sp)
{
	struct trace *t = &sp->trace;
	uint64_t lines = count_lines(&t->writing), dropped = t->dropped;
	char number[21];

	t->job.kind = JOB_NONE;
	buf_reset(&t->writing);
	if (t->job.err != ERR_OK) {
		t->dropped += lines;
		if (!t->is_failing)
			log_error("trace.not_written", "error", strerror(t->error), "hint", "mail goes on; what happens meanwhile is in no trace", NULL);
		t->is_failing = true;
		return;
	}
	if (t->is_failing)
		log_info("trace.written", "dropped", str_put_u64(number, dropped), NULL);
	t->is_failing = false;
	t->dropped = 0;
	if (dropped != 0)
		trace_event(sp, NULL, 0, "lost", "lines", str_put_u64(number, dropped), NULL);
	trace_flush(sp);
}

void
trace_tick(struct spooler *sp)
{
	struct trace *t = &sp->trace;

	if (t->job.kind != JOB_NONE || t->folder_fd < 0 || io_now_us() / DAY_US == t->day)
		return;
	submit(sp);
}

bool
trace_is_idle(const struct spooler *sp)
{
	return sp->trace.job.kind == JOB_NONE && (sp->trace.pending.len == 0 || sp->trace.is_failing);
}
