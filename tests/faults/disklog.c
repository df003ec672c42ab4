/*
 * A disk that remembers the order of what was written to it: a FUSE file system with one file, "disk", for a loop device. Every write
 * and every flush is appended to a log before it is answered, so that the state of the disk after a power cut at any point can be
 * made again: all that was flushed, and what a volatile cache happened to keep. Run by tests/faults/powercut.py as root.
 *
 * A record of the log: u64 offset, u64 length (big-endian), the octets; a flush has the offset 2^64-1 and no octets.
 */
#define FUSE_USE_VERSION 31
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *disk;
static size_t disk_size;
static int log_fd;

static int
put(uint64_t offset, const void *p, uint64_t n)
{
	uint64_t head[2] = { htobe64(offset), htobe64(n) };

	if (write(log_fd, head, sizeof(head)) != (ssize_t)sizeof(head) || (n != 0 && write(log_fd, p, n) != (ssize_t)n))
		return -EIO;
	return 0;
}

static int
get_attributes(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	*st = (struct stat){ .st_nlink = 1 };
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0700;
		return 0;
	}
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	st->st_mode = S_IFREG | 0600;
	st->st_size = (off_t)disk_size;
	return 0;
}

static int
open_disk(const char *path, struct fuse_file_info *fi)
{
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	fi->direct_io = 1;
	return 0;
}

static int
read_disk(const char *path, char *to, size_t n, off_t offset, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	if ((size_t)offset >= disk_size)
		return 0;
	n = n < disk_size - (size_t)offset ? n : disk_size - (size_t)offset;
	memcpy(to, disk + offset, n);
	return (int)n;
}

static int
write_disk(const char *path, const char *p, size_t n, off_t offset, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	if ((size_t)offset > disk_size || n > disk_size - (size_t)offset)
		return -ENOSPC;
	memcpy(disk + offset, p, n);
	return put((uint64_t)offset, p, n) == 0 ? (int)n : -EIO;
}

static int
flush_disk(const char *path, int data_only, struct fuse_file_info *fi)
{
	(void)path;
	(void)data_only;
	(void)fi;
	return put(UINT64_MAX, NULL, 0);
}

static const struct fuse_operations operations = {
	.getattr = get_attributes, .open = open_disk, .read = read_disk, .write = write_disk, .fsync = flush_disk,
};

int
main(int argc, char **argv)
{
	char *const arguments[] = { argv[0], (char *)(size_t)"-f", (char *)(size_t)"-s", argc == 4 ? argv[1] : NULL, NULL };

	if (argc != 4 || (disk_size = strtoul(argv[2], NULL, 10)) == 0) {
		fputs("usage: disklog FOLDER OCTETS LOG\n", stderr);
		return 64;
	}
	disk = mmap(NULL, disk_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk == MAP_FAILED || (log_fd = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600)) < 0) {
		perror(argv[3]);
		return 1;
	}
	return fuse_main(4, (char **)(size_t)arguments, &operations, NULL);
}
