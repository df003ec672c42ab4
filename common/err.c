/*
 * The words for the error numbers between modules. Runs everywhere; pure but for reading errno.
 */
#include "err.h"

#include <errno.h>
#include <string.h>

const char *
err_text(int err)
{
	switch ((enum err)err) {
	case ERR_OK:
		return "success";
	case ERR_SYSTEM:
		return strerror(errno);
	case ERR_NOMEM:
		return "out of memory";
	case ERR_SHORT:
		return "ends too early";
	case ERR_TRAILING:
		return "has octets left over";
	case ERR_TOOBIG:
		return "too long";
	case ERR_SYNTAX:
		return "malformed";
	case ERR_CLOSED:
		return "closed by the other side";
	case ERR_TIMEOUT:
		return "timed out";
	case ERR_NOTFOUND:
		return "not found";
	case ERR_EXISTS:
		return "exists already";
	case ERR_BUSY:
		return "busy, try again";
	case ERR_DENIED:
		return "not allowed";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_VERSION:
		return "written by a newer version";
	case ERR_FULL:
		return "no space left";
	}
	return "unknown error";
}
