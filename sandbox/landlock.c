/*
 * Landlock: what files, ports and processes can still be reached through the kernel, whatever the user id and
 * the root folder are. Run by every program but the master while it gives up its rights.
 */
#include "landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "sandbox.h"

/* Rights that the build machine's headers may not know yet (landlock(7)). */
#define FS_REFER (1ULL << 13)		/* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)	/* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)	/* ABI 5 */
#define NET_BIND 1ULL			/* ABI 4: TCP */
#define NET_CONNECT 2ULL
#define SCOPE_ALL 3ULL			/* ABI 6: abstract UNIX sockets, signals */

#define FS_ABI_1 ((1ULL << 13) - 1)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
	LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_REFER | FS_TRUNCATE)

/* struct landlock_ruleset_attr of ABI 6; the kernel takes any prefix of it. */
struct ruleset {
	uint64_t	files, network, scoped;
};

int
landlock_prepare(const struct sandbox_tree *trees, size_t n, bool connects, int *fd)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset r = { .files = FS_ABI_1 };
	size_t size = sizeof(uint64_t);

	*fd = -1;
	if (abi < 1)
		return ERR_OK;
	r.files |= (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
	r.network = abi >= 4 ? NET_BIND | (connects ? 0 : NET_CONNECT) : 0;
	r.scoped = abi >= 6 ? SCOPE_ALL : 0;
	size *= abi >= 6 ? 3 : abi >= 4 ? 2 : 1;
	if ((*fd = (int)syscall(__NR_landlock_create_ruleset, &r, size, 0)) < 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < n; i++) {
		struct landlock_path_beneath_attr a = {
			.allowed_access = (trees[i].writable ? FS_WRITE : FS_READ) & r.files,
			.parent_fd = trees[i].fd,
		};

		if (syscall(__NR_landlock_add_rule, *fd, LANDLOCK_RULE_PATH_BENEATH, &a, 0) != 0) {
			io_close(fd);
			return ERR_SYSTEM;
		}
	}
	return ERR_OK;
}

int
landlock_enter(int fd)
{
	return syscall(__NR_landlock_restrict_self, fd, 0) == 0 ? ERR_OK : ERR_SYSTEM;
}
