#ifndef SPOOL_ROOM_H
#define SPOOL_ROOM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

/*
 * Whether a disk has too little left for mail: less than min_free octets (but never more than a twentieth of the disk is asked
 * for), or fewer than 100 inodes (a twentieth; a file system that has no number of them has enough).
 */
bool	room_is_low(const struct statvfs *v, uint64_t min_free);

#endif
