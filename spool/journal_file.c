/*
 * The octets of the commit journal, put and got in one place. Part of libpostern-spool; run by postern-spool, and by smtpadm when it
 * repairs a stopped spool. Invariant: a batch is taken whole or not at all, and nothing of an earlier use of the file is taken for new.
 */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "format.h"
#include "io.h"
#include "spool.h"
#include "wire.h"

#define RECORD_HEAD 7		/* kind, length of the name, octets */
#define DIGESTED_HEAD (JOURNAL_HEAD - FORMAT_DIGEST)

static const uint8_t batch_start[8] = "PSTNJRN1";

size_t
journal_record_size(const struct journal_record *r)
{
	return RECORD_HEAD + r->name_len + r->n;
}

/*
 * A message carries the digest of its octets in its first line, so that is as far as the batch's own digest goes into it: every octet
 * is covered, and digested once.
 */
static size_t
digested_data(const struct journal_record *r)
{
	return r->n < FORMAT_FIRST_LINE ? r->n : FORMAT_FIRST_LINE;
}

static int
put_record(struct buf *b, const struct journal_record *r, EVP_MD_CTX *digest)
{
	size_t start = b->len, head = RECORD_HEAD + r->name_len;
	uint8_t octets[RECORD_HEAD];
	struct wire_out w;
	int err;

	wire_out_init(&w, octets, sizeof(octets));
	wire_put_u8(&w, (uint8_t)r->kind);
	wire_put_u16(&w, (uint16_t)r->name_len);
	wire_put_u32(&w, (uint32_t)r->n);
	if ((err = wire_out_end(&w)) != ERR_OK || (err = buf_put(b, octets, sizeof(octets))) != ERR_OK ||
	    (err = buf_put(b, r->name, r->name_len)) != ERR_OK || (r->n != 0 && (err = buf_put(b, r->data, r->n)) != ERR_OK))
		return err;
	return EVP_DigestUpdate(digest, b->data + start, head + digested_data(r)) == 1 ? ERR_OK : ERR_NOMEM;
}

/* The head but for the digest. */
static void
put_head(uint8_t head[JOURNAL_HEAD], const struct journal_place *at, size_t n, size_t octets)
{
	struct wire_out w;

	wire_out_init(&w, head, JOURNAL_HEAD);
	wire_put_raw(&w, batch_start, sizeof(batch_start));
	wire_put_u64(&w, at->generation);
	wire_put_u64(&w, at->sequence);
	wire_put_u32(&w, (uint32_t)n);
	wire_put_u32(&w, (uint32_t)octets);
}

static size_t
round_up(size_t n)
{
	return (n + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

int
journal_put_batch(struct buf *b, const struct journal_place *at, const struct journal_record *const *records, size_t n,
    const EVP_MD *sha256)
{
	uint8_t head[JOURNAL_HEAD] = { 0 };
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	size_t octets = 0, filling;
	int err;

	buf_reset(b);
	for (size_t i = 0; i < n; i++)
		octets += journal_record_size(records[i]);
	put_head(head, at, n, octets);
	err = digest != NULL && EVP_DigestInit_ex(digest, sha256, NULL) == 1 &&
	    EVP_DigestUpdate(digest, head, DIGESTED_HEAD) == 1 ? buf_put(b, head, sizeof(head)) : ERR_NOMEM;
	for (size_t i = 0; i < n && err == ERR_OK; i++)
		err = put_record(b, records[i], digest);
	if (err == ERR_OK && EVP_DigestFinal_ex(digest, b->data + DIGESTED_HEAD, NULL) != 1)
		err = ERR_NOMEM;
	filling = round_up(b->len) - b->len;
	if (err == ERR_OK && (err = buf_reserve(b, filling)) == ERR_OK) {
		memset(b->data + b->len, 0, filling);
		b->len += filling;
	}
	EVP_MD_CTX_free(digest);
	return err;
}

static int
get_record(struct wire_in *w, struct journal_record *r)
{
	uint8_t kind = wire_get_u8(w);

	r->kind = (enum journal_kind)kind;
	r->name_len = wire_get_u16(w);
	r->n = wire_get_u32(w);
	r->name = (const char *)wire_get_raw(w, r->name_len);
	r->data = wire_get_raw(w, r->n);
	if (w->failed || (kind != JOURNAL_STORED && kind != JOURNAL_GONE) || r->name_len == 0 || r->name_len >= SPOOL_NAME_MAX ||
	    memchr(r->name, '/', r->name_len) != NULL || memchr(r->name, 0, r->name_len) != NULL)
		return ERR_CORRUPT;
	return ERR_OK;
}

/* A message whose blocks did not all reach the disk: its batch was never told as done. */
static int
check_message(const struct journal_record *r, EVP_MD_CTX *ctx, const EVP_MD *sha256)
{
	uint8_t wanted[FORMAT_DIGEST], digest[FORMAT_DIGEST];
	bool is_from_judged;
	uint64_t size;

	if (r->kind != JOURNAL_STORED)
		return ERR_OK;
	if (format_get_first_line(r->data, r->n, &size, wanted, &is_from_judged) != ERR_OK || size != r->n)
		return ERR_CORRUPT;
	if (EVP_DigestInit_ex(ctx, sha256, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, r->data + FORMAT_FIRST_LINE, r->n - FORMAT_FIRST_LINE) != 1 || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		return ERR_NOMEM;
	return memcmp(digest, wanted, sizeof(digest)) == 0 ? ERR_OK : ERR_CORRUPT;
}

static int
check_batch(const uint8_t *p, size_t octets, size_t n, const EVP_MD *sha256)
{
	EVP_MD_CTX *all = EVP_MD_CTX_new(), *one = EVP_MD_CTX_new();
	uint8_t digest[FORMAT_DIGEST];
	struct wire_in w;
	int err = ERR_OK;

	wire_in_init(&w, p + JOURNAL_HEAD, octets);
	if (all == NULL || one == NULL || EVP_DigestInit_ex(all, sha256, NULL) != 1 || EVP_DigestUpdate(all, p, DIGESTED_HEAD) != 1)
		err = ERR_NOMEM;
	for (size_t i = 0; i < n && err == ERR_OK; i++) {
		const uint8_t *start = w.data;
		struct journal_record r;

		if ((err = get_record(&w, &r)) != ERR_OK || (err = check_message(&r, one, sha256)) != ERR_OK)
			break;
		if (EVP_DigestUpdate(all, start, RECORD_HEAD + r.name_len + digested_data(&r)) != 1)
			err = ERR_NOMEM;
	}
	if (err == ERR_OK && EVP_DigestFinal_ex(all, digest, NULL) != 1)
		err = ERR_NOMEM;
	if (err == ERR_OK && (w.left != 0 || memcmp(digest, p + DIGESTED_HEAD, sizeof(digest)) != 0))
		err = ERR_CORRUPT;
	EVP_MD_CTX_free(all);
	EVP_MD_CTX_free(one);
	return err;
}

int
journal_get_batch(const uint8_t *p, size_t n, struct journal_place *at, const EVP_MD *sha256,
    int (*each)(const struct journal_record *r, void *arg), void *arg, size_t *size)
{
	const uint8_t *start;
	size_t count, octets;
	struct wire_in w;
	int err;

	wire_in_init(&w, p, n);
	start = wire_get_raw(&w, sizeof(batch_start));
	at->generation = wire_get_u64(&w);
	at->sequence = wire_get_u64(&w);
	count = wire_get_u32(&w);
	octets = wire_get_u32(&w);
	if (w.failed || memcmp(start, batch_start, sizeof(batch_start)) != 0 || n < JOURNAL_HEAD || octets > n - JOURNAL_HEAD ||
	    octets > JOURNAL_BATCH_MAX)
		return ERR_CORRUPT;
	if ((err = check_batch(p, octets, count, sha256)) != ERR_OK)
		return err;
	wire_in_init(&w, p + JOURNAL_HEAD, octets);
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		struct journal_record r;

		if ((err = get_record(&w, &r)) == ERR_OK)
			err = each(&r, arg);
	}
	*size = round_up(JOURNAL_HEAD + octets);
	return err;
}

int
journal_open_file(const struct spool_dirs *d, unsigned which, int is_to_make, int *fd)
{
	char name[] = "journal.0";
	struct stat st;

	name[sizeof(name) - 2] = (char)('0' + which);
	*fd = openat(d->root_fd, name, O_RDWR | (is_to_make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (*fd < 0)
		return errno == ELOOP || errno == EACCES || errno == EISDIR ? ERR_DENIED : io_error();
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		io_close(fd);
		return ERR_DENIED;
	}
	return ERR_OK;
}

int
journal_clear_file(int fd)
{
	static const uint8_t none[JOURNAL_BLOCK];
	int err = io_pwrite_all(fd, none, sizeof(none), 0);

	if (err == ERR_OK && fdatasync(fd) != 0)
		err = io_error();
	return err;
}
