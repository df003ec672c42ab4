/*
 * Reading a message file: its envelope, and whether it is whole. Part of libpostern-spool; needs nothing but an open
 * descriptor, and leaves its offset alone.
 */
#include "spool.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "format.h"

#define FIRST_READ 8192		/* holds nearly every envelope */

/* Reads up to n octets at an offset; fewer only at the end of the file. */
static int
read_at(int fd, uint8_t *p, size_t n, off_t offset, size_t *got)
{
	for (*got = 0; *got < n;) {
		ssize_t done = pread(fd, p + *got, n - *got, offset + (off_t)*got);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return ERR_SYSTEM;
		if (done == 0)
			return ERR_OK;
		*got += (size_t)done;
	}
	return ERR_OK;
}

int
spool_read_envelope(int fd, struct spool_envelope *e)
{
	uint8_t *text = NULL, *larger;
	size_t size = FIRST_READ, got;
	struct stat st;
	int err;

	*e = (struct spool_envelope){ .account = NULL };
	if (fstat(fd, &st) != 0)
		return ERR_SYSTEM;
	if (!S_ISREG(st.st_mode))
		return ERR_CORRUPT;
	for (;; size *= 4) {
		if (size > FORMAT_ENVELOPE_MAX)
			size = FORMAT_ENVELOPE_MAX;
		if ((larger = realloc(text, size)) == NULL) {
			err = ERR_NOMEM;
			break;
		}
		text = larger;
		if ((err = read_at(fd, text, size, 0, &got)) != ERR_OK)
			break;
		spool_envelope_free(e);
		if ((err = format_get_envelope(text, got, (uint64_t)st.st_size, e)) != ERR_SHORT)
			break;
		if (got < size || size == FORMAT_ENVELOPE_MAX) {
			err = ERR_CORRUPT;
			break;
		}
	}
	free(text);
	if (err != ERR_OK)
		spool_envelope_free(e);
	return err;
}

void
spool_envelope_free(struct spool_envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++) {
		free(e->recipients[i].address);
		free(e->recipients[i].notify);
		free(e->recipients[i].orcpt);
	}
	free(e->recipients);
	free(e->account);
	free(e->credential);
	free(e->sender);
	free(e->envid);
	free(e->ret);
	*e = (struct spool_envelope){ .account = NULL };
}

static int
digest_rest(int fd, EVP_MD_CTX *ctx, uint64_t *size, uint8_t digest[FORMAT_DIGEST])
{
	static const size_t chunk = 64 * 1024;
	uint8_t *p = malloc(chunk);
	size_t got;
	int err = ERR_OK;

	if (p == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		err = ERR_NOMEM;
	for (*size = FORMAT_FIRST_LINE; err == ERR_OK; *size += got) {
		if ((err = read_at(fd, p, chunk, (off_t)*size, &got)) != ERR_OK || got == 0)
			break;
		if (EVP_DigestUpdate(ctx, p, got) != 1)
			err = ERR_NOMEM;
	}
	if (err == ERR_OK && EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		err = ERR_NOMEM;
	free(p);
	return err;
}

int
spool_verify(int fd)
{
	uint8_t first[FORMAT_FIRST_LINE], wanted[FORMAT_DIGEST], digest[FORMAT_DIGEST];
	uint64_t size, wanted_size;
	bool is_from_judged;
	EVP_MD_CTX *ctx;
	size_t got;
	int err;

	if ((err = read_at(fd, first, sizeof(first), 0, &got)) != ERR_OK ||
	    (err = format_get_first_line(first, got, &wanted_size, wanted, &is_from_judged)) != ERR_OK)
		return err;
	if ((ctx = EVP_MD_CTX_new()) == NULL)
		return ERR_NOMEM;
	err = digest_rest(fd, ctx, &size, digest);
	EVP_MD_CTX_free(ctx);
	if (err != ERR_OK)
		return err;
	return size == wanted_size && memcmp(digest, wanted, sizeof(digest)) == 0 ? ERR_OK : ERR_CORRUPT;
}
