#ifndef COMMON_ERR_H
#define COMMON_ERR_H

/*
 * The only error numbers that pass between modules: 0 is success, every failure is negative.
 * Functions that return int return one of these unless their header says otherwise.
 */
enum err {
	ERR_OK = 0,
	ERR_SYSTEM = -1,	/* a system call failed; errno says which way */
	ERR_NOMEM = -2,		/* no memory, or a bounded buffer is full */
	ERR_SHORT = -3,		/* a message or field ends too early */
	ERR_TRAILING = -4,	/* octets are left over at the end */
	ERR_TOOBIG = -5,	/* longer than its limit */
	ERR_SYNTAX = -6,	/* does not follow its grammar */
	ERR_CLOSED = -7,	/* the other side has closed */
	ERR_TIMEOUT = -8,	/* the deadline has passed */
	ERR_NOTFOUND = -9,	/* no such object */
	ERR_EXISTS = -10,	/* the object is there already */
	ERR_BUSY = -11,		/* locked or overloaded: try again */
	ERR_DENIED = -12,	/* not allowed */
	ERR_CORRUPT = -13,	/* stored data contradicts itself */
	ERR_VERSION = -14,	/* written by a newer version */
	ERR_FULL = -15,		/* no space or no inodes left (ENOSPC, EDQUOT) */
};

/* A short constant English phrase for an error number; for ERR_SYSTEM it is strerror(errno). */
const char	*err_text(int err);

#endif
