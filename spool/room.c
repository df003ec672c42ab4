/*
 * The floor of free space below which postern-spool takes no mail. Pure.
 */
#include "room.h"

#define INODES_FLOOR 100

bool
room_is_low(const struct statvfs *v, uint64_t min_free)
{
	uint64_t unit = v->f_frsize != 0 ? v->f_frsize : v->f_bsize;
	uint64_t floor = (uint64_t)v->f_blocks / 20, wanted = unit != 0 ? (min_free + unit - 1) / unit : 0;
	uint64_t inodes = (uint64_t)v->f_files / 20;

	if (wanted < floor)
		floor = wanted;
	if (inodes > INODES_FLOOR)
		inodes = INODES_FLOOR;
	return v->f_bavail < floor || (v->f_files != 0 && v->f_favail < inodes);
}
