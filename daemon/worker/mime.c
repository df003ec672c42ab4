/*
 * The parts of a message (RFC 2045, 2046) as its octets pass. Pure; run by workers on a client's octets. Invariant:
 * the verdict depends on the octets only, not on how they were cut. Only a line that may be a delimiter, and a header's
 * lines, are looked at one by one; all else passes in runs.
 */
#include "mime.h"

#include <stdio.h>
#include <string.h>

enum line_state {
	LINE_START,
	LINE_HEAD,		/* being kept until it can be judged */
	LINE_PADDING,		/* kept: a delimiter, if no more than white space follows, which is counted */
	LINE_REST,		/* judged; the rest passes */
};

enum long_name {
	LONG_NAME_NONE,
	LONG_NAME_NAME,
	LONG_NAME_BLANKS,	/* between name and colon */
};

void
mime_init(struct mime *m, uint64_t attachment_limit)
{
	/* The arrays at its end, nine pages of them, are read only as far as lengths say. */
	memset(m, 0, offsetof(struct mime, field_value));
	m->limit = attachment_limit;
	m->in_header = true;
	mime_part_init(&m->part, false);
}

static void
set_malformed(struct mime *m, const char *reason)
{
	if (m->verdict != MIME_OK)
		return;
	m->verdict = MIME_MALFORMED;
	m->reason = reason;
}

/* As IMAP numbers parts (RFC 9051, 6.4.5): a message inside is no number of its own, but its only leaf is ".1". */
static void
put_number(struct mime *m)
{
	size_t len = (size_t)snprintf(m->name, sizeof(m->name), "part");
	char mark = ' ';

	for (size_t i = 0; i < m->depth && len < sizeof(m->name); i++) {
		if (m->levels[i].type == MIME_MESSAGE)
			continue;
		len += (size_t)snprintf(m->name + len, sizeof(m->name) - len, "%c%u", mark,
		    (unsigned)m->levels[i].children);
		mark = '.';
	}
	if (len < sizeof(m->name) && (m->depth == 0 || m->levels[m->depth - 1].type == MIME_MESSAGE))
		snprintf(m->name + len, sizeof(m->name) - len, "%c1", mark);
}

static void
set_too_big(struct mime *m)
{
	if (m->verdict != MIME_OK)
		return;
	m->verdict = MIME_ATTACHMENT_TOO_BIG;
	if (m->part.name[0] != 0)
		memcpy(m->name, m->part.name, sizeof(m->name));
	else
		put_number(m);
}

static void
take_content(struct mime *m, const uint8_t *p, size_t n)
{
	uint64_t octets;

	m->steps += n;
	if (!m->is_counted)
		return;
	mime_count_take(&m->count, p, n);
	/* The last line end may turn out to be a delimiter's. */
	octets = mime_count_get(&m->count, false);
	if (octets > m->limit && octets - m->limit > 2)
		set_too_big(m);
}

static void
end_content(struct mime *m, bool before_delimiter)
{
	uint64_t octets;

	if (!m->is_counted)
		return;
	m->is_counted = false;
	octets = mime_count_get(&m->count, before_delimiter);
	m->attachments++;
	m->total += octets;
	if (octets > m->largest)
		m->largest = octets;
	if (octets > m->limit)
		set_too_big(m);
}

static void
begin_header(struct mime *m, bool in_digest)
{
	mime_part_init(&m->part, in_digest);
	m->in_header = true;
	m->begins_message = false;
	m->header_len = 0;
	m->field = MIME_FIELD_NONE;
}

static void
end_field(struct mime *m)
{
	m->steps += m->field_len;
	mime_part_take(&m->part, m->field, m->field_value, m->field_len, m->field_is_cut);
	m->field_len = 0;
	m->field_is_cut = false;
}

static uint32_t
add_hash(uint32_t hash, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 16777619U;	/* FNV-1a */
	return hash;
}

#define HASH_START 2166136261U

static void
push_level(struct mime *m)
{
	struct mime_level *l;

	if (m->depth == MIME_DEPTH_MAX) {
		set_malformed(m, "its parts are nested over 100 deep");
		return;
	}
	l = &m->levels[m->depth++];
	*l = (struct mime_level){ .type = (uint8_t)m->part.type };
	if (m->part.type == MIME_MESSAGE)
		return;
	memcpy(l->boundary, m->part.boundary, m->part.boundary_len);
	l->boundary_len = (uint16_t)m->part.boundary_len;
	l->hash = add_hash(HASH_START, l->boundary, l->boundary_len);
}

static void
pop_levels(struct mime *m, size_t depth)
{
	for (; m->depth > depth; m->depth--) {
		const struct mime_level *l = &m->levels[m->depth - 1];

		if (l->type != MIME_MESSAGE && !l->is_seen)
			set_malformed(m, "the boundary of a multipart never comes");
	}
}

/* A header without a blank line behind it: a message in such a part would begin with a line that is no field. */
static void
end_header(struct mime *m, bool has_blank_line)
{
	struct mime_part *p = &m->part;

	end_field(m);
	m->in_header = false;
	if (p->fault != NULL) {
		set_malformed(m, p->fault);
		return;
	}
	if (p->type == MIME_MULTIPART || p->type == MIME_DIGEST) {
		if (p->boundary_len == 0)
			set_malformed(m, "a multipart has no boundary");
		else
			push_level(m);
		return;
	}
	if (p->type == MIME_MESSAGE && p->encoding == MIME_PLAIN) {
		push_level(m);
		if (!has_blank_line)
			return;
		begin_header(m, false);
		m->begins_message = true;
		return;
	}
	m->is_counted = p->is_attachment || p->name[0] != 0 || p->type != MIME_TEXT;
	mime_count_init(&m->count, p->encoding);
}

static void
end_part(struct mime *m)
{
	if (m->in_header)
		end_header(m, false);
	end_content(m, true);
}

static bool
is_boundary(const struct mime_level *l, const uint8_t *p, size_t n, uint32_t hash)
{
	return l->hash == hash && l->boundary_len == n && l->type != MIME_MESSAGE && memcmp(l->boundary, p, n) == 0;
}

static void
take_delimiter(struct mime *m, size_t level, bool closes)
{
	struct mime_level *l = &m->levels[level];

	end_part(m);
	pop_levels(m, level + 1);
	l->is_seen = true;
	if (closes) {
		m->depth = level;
		return;
	}
	l->children++;
	begin_header(m, l->type == MIME_DIGEST);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* If the line that is kept is a delimiter (RFC 2046, 5.1.1) it is taken; or, as long as it has not ended, kept on. */
static bool
judge_delimiter(struct mime *m, bool ended)
{
	const uint8_t *p = m->line + 2;
	uint32_t hash, short_hash = 0;
	bool may_close;
	size_t n = m->line_len;

	if (m->depth == 0 || n < 3 || m->line[0] != '-' || m->line[1] != '-')
		return false;
	while (n > 2 && (is_blank(m->line[n - 1]) || m->line[n - 1] == '\r' || m->line[n - 1] == '\n'))
		n--;
	n -= 2;
	may_close = n > 2 && p[n - 1] == '-' && p[n - 2] == '-';
	if (may_close)
		short_hash = add_hash(HASH_START, p, n - 2);
	hash = may_close ? add_hash(short_hash, p + n - 2, 2) : add_hash(HASH_START, p, n);
	for (size_t i = m->depth; i-- > 0;) {
		bool closes = may_close && is_boundary(&m->levels[i], p, n - 2, short_hash);

		m->steps++;
		if (!closes && !is_boundary(&m->levels[i], p, n, hash))
			continue;
		if (ended)
			take_delimiter(m, i, closes);
		else
			m->line_state = LINE_PADDING;
		return true;
	}
	return false;
}

static bool
is_name_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

/* Line ends are left out, which unfolds the field. */
static void
take_field(struct mime *m, const uint8_t *p, size_t n)
{
	m->header_len += n;
	if (m->header_len > MIME_HEADER_MAX)
		set_malformed(m, "a header is over 256 KiB long");
	if (m->field == MIME_FIELD_OTHER)
		return;
	for (size_t i = 0; i < n && !m->field_is_cut; i++) {
		if (p[i] == '\r' || p[i] == '\n')
			continue;
		if (m->field_len == MIME_FIELD_MAX)
			m->field_is_cut = true;
		else
			m->field_value[m->field_len++] = p[i];
	}
}

/* mbox's line, which many leave in front of a message that they forward. */
static bool
is_mbox_line(const struct mime *m)
{
	size_t quote = m->line[0] == '>' ? 1 : 0;

	return m->begins_message && m->line_len >= quote + 5 && memcmp(m->line + quote, "From ", 5) == 0;
}

/* The line that is kept, in a header. False: it belongs to the body, which has now begun. */
static bool
judge_header_line(struct mime *m)
{
	const uint8_t *p = m->line;
	size_t n = m->line_len, name = 0, colon;

	if (p[0] == '\n' || (n >= 2 && p[0] == '\r' && p[1] == '\n')) {
		end_header(m, true);
		return true;
	}
	if (m->field != MIME_FIELD_NONE && is_blank(p[0])) {
		take_field(m, p, n);
		return true;
	}
	while (name < n && is_name_octet(p[name]))
		name++;
	for (colon = name; colon < n && is_blank(p[colon]);)
		colon++;
	if (name != 0 && colon < n && p[colon] == ':') {
		end_field(m);
		m->field = mime_field_find(p, name);
		m->header_len += colon + 1;
		take_field(m, p + colon + 1, n - colon - 1);
	} else if (is_mbox_line(m)) {
		m->field = MIME_FIELD_OTHER;
		take_field(m, p, n);
	} else {
		m->long_name = name == 0 || colon < n ? LONG_NAME_NONE : name == n ? LONG_NAME_NAME : LONG_NAME_BLANKS;
		end_header(m, false);
		return false;
	}
	m->begins_message = false;
	return true;
}

/* The line that is kept ended, or is as long as any that matters but for white space. */
static void
judge_line(struct mime *m, bool ended, bool may_delimit)
{
	bool is_taken;

	m->steps += m->line_len;
	m->line_state = ended ? LINE_START : LINE_REST;
	is_taken = may_delimit && judge_delimiter(m, ended);
	if (!is_taken && m->in_header) {
		/* A line that is no field is the body's first, and may be a delimiter of the multipart that begins. */
		is_taken = judge_header_line(m) || (may_delimit && judge_delimiter(m, ended));
	}
	if (m->line_state == LINE_PADDING)
		return;
	if (!is_taken && m->verdict == MIME_OK)
		take_content(m, m->line, m->line_len);
	m->line_len = 0;
}

/* The functions from here on take some of n octets and return how many. */

static size_t
take_head(struct mime *m, const uint8_t *p, size_t n)
{
	size_t len = n < MIME_LINE_MAX - m->line_len ? n : MIME_LINE_MAX - m->line_len;
	const uint8_t *lf = memchr(p, '\n', len);

	if (lf != NULL)
		len = (size_t)(lf - p) + 1;
	memcpy(m->line + m->line_len, p, len);
	m->line_len += len;
	m->line_state = LINE_HEAD;
	if (lf != NULL || m->line_len == MIME_LINE_MAX)
		judge_line(m, lf != NULL, true);
	return len;
}

static size_t
take_header_rest(struct mime *m, const uint8_t *p, size_t n)
{
	const uint8_t *lf = memchr(p, '\n', n);
	size_t len = lf != NULL ? (size_t)(lf - p) + 1 : n;

	m->steps += len;
	take_field(m, p, len);
	if (lf != NULL)
		m->line_state = LINE_START;
	return len;
}

/* Octets up to a line that begins with '-'. */
static size_t
find_run(const uint8_t *p, size_t n)
{
	const uint8_t *dash;
	size_t at = 1;

	while (at < n && (dash = memchr(p + at, '-', n - at)) != NULL) {
		if (dash[-1] == '\n')
			return (size_t)(dash - p);
		at = (size_t)(dash - p) + 1;
	}
	return n;
}

/* In a line that seemed to be no field because its name did not end: a colon would make readers disagree about it. */
static void
judge_long_name(struct mime *m, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (m->long_name == LONG_NAME_NAME && at < n && is_name_octet(p[at]))
		at++;
	if (at < n && is_blank(p[at]))
		m->long_name = LONG_NAME_BLANKS;
	while (at < n && is_blank(p[at]))
		at++;
	if (at == n)
		return;
	m->long_name = LONG_NAME_NONE;
	if (p[at] == ':')
		set_malformed(m, "a field's name is over 1000 octets long");
}

static size_t
take_body(struct mime *m, const uint8_t *p, size_t n)
{
	size_t len = m->depth != 0 ? find_run(p, n) : n;

	if (m->long_name != LONG_NAME_NONE)
		judge_long_name(m, p, n);
	take_content(m, p, len);
	m->line_state = p[len - 1] == '\n' ? LINE_START : LINE_REST;
	return len;
}

/* White space behind what may be a delimiter: its end decides. It is not kept, blanks stand for it if it was none. */
static size_t
take_padding(struct mime *m, const uint8_t *p, size_t n)
{
	static const uint8_t blanks[64] = "                                                                ";
	size_t len = 0;

	while (len < n && (is_blank(p[len]) || p[len] == '\r'))
		len++;
	m->steps += len;
	m->padding += len;
	if (len < n && p[len] == '\n') {
		m->padding = 0;
		judge_line(m, true, true);
		return len + 1;
	}
	if (len == n)
		return len;
	judge_line(m, false, false);
	for (; m->padding != 0 && m->verdict == MIME_OK; m->padding -= n) {
		n = m->padding < sizeof(blanks) ? m->padding : sizeof(blanks);
		n = m->in_header ? take_header_rest(m, blanks, n) : take_body(m, blanks, n);
	}
	return len;
}

enum mime_verdict
mime_feed(struct mime *m, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n != 0 && m->verdict == MIME_OK) {
		bool is_head = m->line_state == LINE_HEAD || (m->line_state == LINE_START &&
		    (m->in_header || (*p == '-' && m->depth != 0)));
		size_t used;

		if (m->line_state == LINE_PADDING)
			used = take_padding(m, p, n);
		else if (is_head)
			used = take_head(m, p, n);
		else
			used = m->in_header ? take_header_rest(m, p, n) : take_body(m, p, n);
		p += used;
		n -= used;
	}
	return m->verdict;
}

enum mime_verdict
mime_end(struct mime *m)
{
	if (m->verdict == MIME_OK && (m->line_state == LINE_HEAD || m->line_state == LINE_PADDING))
		judge_line(m, true, true);
	if (m->verdict == MIME_OK && m->in_header)
		end_header(m, false);
	if (m->verdict != MIME_OK)
		return m->verdict;
	end_content(m, false);
	pop_levels(m, 0);
	return m->verdict;
}
