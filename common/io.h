#ifndef COMMON_IO_H
#define COMMON_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;

/* Milliseconds of CLOCK_MONOTONIC; microseconds since 1970 of CLOCK_REALTIME. */
uint64_t io_now_ms(void);
uint64_t io_now_us(void);

/* Writes all n octets to a blocking descriptor, across EINTR and short writes. ERR_FULL, ERR_SYSTEM. */
int	io_write_all(int fd, const void *p, size_t n);

/* The same at an offset. */
int	io_pwrite_all(int fd, const void *p, size_t n, off_t offset);

/* Reads a descriptor from its current offset to its end into b. ERR_TOOBIG when it passes b->max, ERR_NOMEM, ERR_SYSTEM. */
int	io_read_all(int fd, struct buf *b);

/* Reads a file, following no link at its last component. ERR_NOTFOUND, and what io_read_all() answers. */
int	io_read_file(const char *path, struct buf *b);

/*
 * Replaces a file as a whole: writes path.new beside it (mode), fsync, rename, fsync of the folder.
 * The old content stays on any error. ERR_FULL, ERR_SYSTEM.
 */
int	io_replace_file(const char *path, const void *p, size_t n, mode_t mode);

/* The same inside an open folder, whatever its path means by now; the new file gets this owner unless uid is -1. */
int	io_replace_at(int folder_fd, const char *name, const void *p, size_t n, mode_t mode, uid_t uid, gid_t gid);

/* ERR_FULL for ENOSPC, EDQUOT and EFBIG in errno, ERR_NOTFOUND for ENOENT, else ERR_SYSTEM. */
int	io_error(void);

/* close() that keeps errno; sets *fd to -1; does nothing for -1. */
void	io_close(int *fd);

/* Sets O_NONBLOCK. ERR_SYSTEM. */
int	io_set_nonblock(int fd);

#endif
