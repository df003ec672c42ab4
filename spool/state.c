/*
 * The state of a message's delivery: its text, postern-spool(5), and its file. Part of libpostern-spool; run by postern-spool's commit
 * threads, or by smtpadm as the spool's owner with the lock held. Invariant: what state_put() wrote, state_get() reads
 * back, anything else is refused; a file that could not be replaced stands as it was.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "format.h"
#include "io.h"
#include "name.h"
#include "str.h"
#include "transaction.h"

#define VERSION 1
#define STATE_MAX (32u << 20)	/* octets: 10000 recipients with the longest replies */

static const char end_line[] = "Postern-End: state\n";

static const char *const statuses[] = {
	[RECIPIENT_WAITING] = "waiting", [RECIPIENT_DELIVERED] = "delivered", [RECIPIENT_BOUNCED] = "bounced",
	[RECIPIENT_REPORTED] = "reported", [RECIPIENT_REMOVED] = "removed",
};

int
state_init(struct state *s, size_t nrecipients)
{
	*s = (struct state){ .nrecipients = nrecipients };
	s->recipients = calloc(nrecipients != 0 ? nrecipients : 1, sizeof(*s->recipients));
	return s->recipients != NULL ? ERR_OK : ERR_NOMEM;
}

void
state_free(struct state *s)
{
	for (size_t i = 0; i < s->nrecipients && s->recipients != NULL; i++) {
		free(s->recipients[i].enhanced);
		free(s->recipients[i].reply);
		free(s->recipients[i].host);
		free(s->recipients[i].tls);
	}
	free(s->recipients);
	free(s->route);
	free(s->hold);
	*s = (struct state){ .tries = 0 };
}

bool
state_is_done(const struct state *s)
{
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].status == RECIPIENT_WAITING || s->recipients[i].status == RECIPIENT_BOUNCED ||
		    s->recipients[i].is_success_due)
			return false;
	return true;
}

bool
state_is_precious(const struct state *s)
{
	if (s->route != NULL || s->hold != NULL || s->warned_us != 0 || s->expires_us != 0)
		return true;
	for (size_t i = 0; i < s->nrecipients; i++)
		if (s->recipients[i].status != RECIPIENT_WAITING)
			return true;
	return false;
}

/* A line with a text; what would end it early is made visible. */
static int
put_text(struct buf *b, const char *field, const char *text)
{
	size_t at = b->len;
	int err;

	if (text == NULL || text[0] == 0)
		return ERR_OK;
	if ((err = buf_put_fmt(b, "%s: %s\n", field, text)) != ERR_OK)
		return err;
	for (; at < b->len - 1; at++)
		if (b->data[at] < ' ' || b->data[at] == 0x7f)
			b->data[at] = '?';
	return ERR_OK;
}

static int
put_time(struct buf *b, const char *field, uint64_t us)
{
	char time[28];

	return us == 0 ? ERR_OK : buf_put_fmt(b, "%s: %s\n", field, str_put_time(time, us));
}

static bool
is_untouched(const struct state_recipient *r)
{
	return r->status == RECIPIENT_WAITING && r->time_us == 0 && !r->is_success_due && !r->is_relayed && r->code == 0 &&
	    r->stage == DELIVERY_ROUTE && r->enhanced == NULL && r->reply == NULL && r->host == NULL && r->tls == NULL;
}

static int
put_recipient(struct buf *b, size_t index, const struct state_recipient *r)
{
	int err;

	if ((err = buf_put_fmt(b, "Postern-Recipient: %zu %s%s%s\nPostern-Stage: %s\n", index, statuses[r->status],
	    r->is_success_due ? " success-due" : "", r->is_relayed ? " relayed" : "", ipc_delivery_stage(r->stage))) != ERR_OK ||
	    (err = put_time(b, "Postern-Time", r->time_us)) != ERR_OK)
		return err;
	if (r->code != 0 && (err = buf_put_fmt(b, "Postern-Code: %u\n", (unsigned)r->code)) != ERR_OK)
		return err;
	if ((err = put_text(b, "Postern-Enhanced", r->enhanced)) != ERR_OK ||
	    (err = put_text(b, "Postern-Host", r->host)) != ERR_OK || (err = put_text(b, "Postern-TLS", r->tls)) != ERR_OK)
		return err;
	return put_text(b, "Postern-Reply", r->reply);
}

int
state_put(const struct state *s, struct buf *b)
{
	int err;

	if ((err = buf_put_fmt(b, "Postern-State: v=%d; recipients=%zu\n", VERSION, s->nrecipients)) != ERR_OK)
		return err;
	if (s->tries != 0 && (err = buf_put_fmt(b, "Postern-Tries: %lu\n", (unsigned long)s->tries)) != ERR_OK)
		return err;
	if ((err = put_time(b, "Postern-Next", s->next_us)) != ERR_OK ||
	    (err = put_time(b, "Postern-Warned", s->warned_us)) != ERR_OK ||
	    (err = put_time(b, "Postern-Expires", s->expires_us)) != ERR_OK ||
	    (err = put_text(b, "Postern-Route", s->route)) != ERR_OK || (err = put_text(b, "Postern-Hold", s->hold)) != ERR_OK)
		return err;
	for (size_t i = 0; i < s->nrecipients && err == ERR_OK; i++)
		if (!is_untouched(&s->recipients[i]))
			err = put_recipient(b, i, &s->recipients[i]);
	return err == ERR_OK ? buf_put_str(b, end_line) : err;
}

/* The lines that are left. */
struct lines {
	const char	*p;
	size_t		 left;
};

struct text {
	const char	*p;
	size_t		 n;
};

/* The value of the next line if it is this field's; else ERR_NOTFOUND and the line stays. */
static int
take(struct lines *l, const char *field, struct text *value)
{
	size_t n = strlen(field);
	const char *end;

	if (l->left < n + 2 || memcmp(l->p, field, n) != 0 || l->p[n] != ':' || l->p[n + 1] != ' ' ||
	    (end = memchr(l->p, '\n', l->left)) == NULL)
		return ERR_NOTFOUND;
	*value = (struct text){ .p = l->p + n + 2, .n = (size_t)(end - l->p) - n - 2 };
	l->left -= (size_t)(end + 1 - l->p);
	l->p = end + 1;
	return ERR_OK;
}

/* In the one form that is written. */
static int
get_number(const char *p, size_t n, uint64_t max, uint64_t *value)
{
	return str_parse_u64(p, n, max, value) == ERR_OK && (p[0] != '0' || n == 1) ? ERR_OK : ERR_CORRUPT;
}

static int
take_number(struct lines *l, const char *field, uint64_t max, uint64_t *value)
{
	struct text v;

	if (take(l, field, &v) != ERR_OK)
		return ERR_OK;
	return get_number(v.p, v.n, max, value) == ERR_OK && *value != 0 ? ERR_OK : ERR_CORRUPT;
}

static int
take_time(struct lines *l, const char *field, uint64_t *us)
{
	char time[28];
	struct text v;

	if (take(l, field, &v) != ERR_OK)
		return ERR_OK;
	if (str_copy(time, sizeof(time), v.p, v.n) != ERR_OK || format_get_time(time, us) != ERR_OK || *us == 0)
		return ERR_CORRUPT;
	return ERR_OK;
}

static int
take_text(struct lines *l, const char *field, char **text)
{
	struct text v;

	if (take(l, field, &v) != ERR_OK)
		return ERR_OK;
	if (v.n == 0)
		return ERR_CORRUPT;
	for (size_t i = 0; i < v.n; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
			return ERR_CORRUPT;
	return (*text = strndup(v.p, v.n)) != NULL ? ERR_OK : ERR_NOMEM;
}

/* "3 bounced success-due relayed" */
static int
get_recipient(struct text v, struct state *s, size_t *last, struct state_recipient **r)
{
	size_t digits = 0, i = 0;
	uint64_t index;
	char rest[64];

	while (digits < v.n && v.p[digits] >= '0' && v.p[digits] <= '9')
		digits++;
	if (get_number(v.p, digits, UINT32_MAX, &index) != ERR_OK || digits == v.n || v.p[digits] != ' ' ||
	    index >= s->nrecipients || (*last != SIZE_MAX && index <= *last) ||
	    str_copy(rest, sizeof(rest), v.p + digits + 1, v.n - digits - 1) != ERR_OK)
		return ERR_CORRUPT;
	*last = index;
	*r = &s->recipients[index];
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		size_t n = strlen(statuses[i]);
		const char *flags = rest + n;

		if (strncmp(rest, statuses[i], n) != 0 || (*flags != 0 && *flags != ' '))
			continue;
		(*r)->status = (enum recipient_status)i;
		(*r)->is_success_due = strcmp(flags, " success-due") == 0 || strcmp(flags, " success-due relayed") == 0;
		(*r)->is_relayed = strcmp(flags, " relayed") == 0 || strcmp(flags, " success-due relayed") == 0;
		return *flags == 0 || (*r)->is_success_due || (*r)->is_relayed ? ERR_OK : ERR_CORRUPT;
	}
	return ERR_CORRUPT;
}

static int
get_stage(struct text v, enum delivery_stage *stage)
{
	for (enum delivery_stage i = 0; i <= DELIVERY_STAGE_MAX; i++) {
		const char *word = ipc_delivery_stage(i);

		if (strlen(word) == v.n && memcmp(word, v.p, v.n) == 0) {
			*stage = i;
			return ERR_OK;
		}
	}
	return ERR_CORRUPT;
}

static int
get_recipients(struct lines *l, struct state *s)
{
	size_t last = SIZE_MAX;
	struct text v;

	while (take(l, "Postern-Recipient", &v) == ERR_OK) {
		struct state_recipient *r;
		uint64_t code = 0;
		int err;

		if (get_recipient(v, s, &last, &r) != ERR_OK || take(l, "Postern-Stage", &v) != ERR_OK ||
		    get_stage(v, &r->stage) != ERR_OK || take_time(l, "Postern-Time", &r->time_us) != ERR_OK ||
		    take_number(l, "Postern-Code", 999, &code) != ERR_OK)
			return ERR_CORRUPT;
		r->code = (uint16_t)code;
		if ((err = take_text(l, "Postern-Enhanced", &r->enhanced)) != ERR_OK ||
		    (err = take_text(l, "Postern-Host", &r->host)) != ERR_OK ||
		    (err = take_text(l, "Postern-TLS", &r->tls)) != ERR_OK ||
		    (err = take_text(l, "Postern-Reply", &r->reply)) != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* "v=1; recipients=3" */
static int
get_first(struct text v, size_t nrecipients)
{
	static const char middle[] = "; recipients=";
	size_t digits = 0, rest;
	uint64_t version, n;

	if (v.n < 2 || memcmp(v.p, "v=", 2) != 0)
		return ERR_CORRUPT;
	while (2 + digits < v.n && v.p[2 + digits] >= '0' && v.p[2 + digits] <= '9')
		digits++;
	if (get_number(v.p + 2, digits, UINT32_MAX, &version) != ERR_OK || version == 0)
		return ERR_CORRUPT;
	if (version > VERSION)
		return ERR_VERSION;
	rest = 2 + digits;
	if (v.n - rest < sizeof(middle) || memcmp(v.p + rest, middle, sizeof(middle) - 1) != 0)
		return ERR_CORRUPT;
	rest += sizeof(middle) - 1;
	return get_number(v.p + rest, v.n - rest, UINT32_MAX, &n) == ERR_OK && n == nrecipients ? ERR_OK : ERR_CORRUPT;
}

int
state_get(const void *p, size_t n, size_t nrecipients, struct state *s)
{
	struct lines l = { .p = p, .left = n };
	uint64_t tries = 0;
	struct text v;
	int err;

	if ((err = state_init(s, nrecipients)) != ERR_OK)
		return err;
	if (take(&l, "Postern-State", &v) != ERR_OK)
		return ERR_CORRUPT;
	if ((err = get_first(v, nrecipients)) != ERR_OK)
		return err;
	if (take_number(&l, "Postern-Tries", UINT32_MAX, &tries) != ERR_OK ||
	    take_time(&l, "Postern-Next", &s->next_us) != ERR_OK || take_time(&l, "Postern-Warned", &s->warned_us) != ERR_OK ||
	    take_time(&l, "Postern-Expires", &s->expires_us) != ERR_OK)
		return ERR_CORRUPT;
	s->tries = (uint32_t)tries;
	if ((err = take_text(&l, "Postern-Route", &s->route)) != ERR_OK || (err = take_text(&l, "Postern-Hold", &s->hold)) != ERR_OK ||
	    (err = get_recipients(&l, s)) != ERR_OK)
		return err;
	return l.left == sizeof(end_line) - 1 && memcmp(l.p, end_line, l.left) == 0 ? ERR_OK : ERR_CORRUPT;
}

/* Whether a file that can't be read was cut by a crash: such a one held nothing that was promised. */
static bool
is_cut(const struct buf *b)
{
	return b->len < sizeof(end_line) - 1 || memcmp(b->data + b->len - (sizeof(end_line) - 1), end_line, sizeof(end_line) - 1) != 0;
}

int
state_read(const struct spool_dirs *d, const char *id, size_t nrecipients, struct state *s)
{
	int fd = d->state_fd >= 0 ? openat(d->state_fd, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) : -1, err;
	struct stat st;
	struct buf b;

	if (fd < 0)
		return d->state_fd < 0 || errno == ENOENT ? state_init(s, nrecipients) : errno == ELOOP ? ERR_CORRUPT : ERR_SYSTEM;
	buf_init(&b, STATE_MAX);
	if (fstat(fd, &st) != 0)
		err = ERR_SYSTEM;
	else if (!S_ISREG(st.st_mode))
		err = ERR_CORRUPT;
	else if ((err = io_read_all(fd, &b)) == ERR_TOOBIG)
		err = ERR_CORRUPT;
	io_close(&fd);
	if (err == ERR_OK && is_cut(&b)) {
		err = state_init(s, nrecipients);
	} else if (err == ERR_OK && (err = state_get(b.data, b.len, nrecipients, s)) != ERR_OK) {
		state_free(s);
	}
	buf_free(&b);
	return err;
}

int
state_write(const struct spool_dirs *d, const char *id, const struct state *s)
{
	struct buf b;
	int err;

	buf_init(&b, STATE_MAX);
	if ((err = state_put(s, &b)) == ERR_OK)
		err = transaction_replace_state(d, id, b.data, b.len, state_is_precious(s), NULL);
	buf_free(&b);
	return err == ERR_NOMEM || err == ERR_TOOBIG ? ERR_SYSTEM : err;
}

void
state_remove(const struct spool_dirs *d, const char *id)
{
	if (d->state_fd >= 0)
		unlinkat(d->state_fd, id, 0);
}
