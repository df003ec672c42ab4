#ifndef AUTH_OWNER_H
#define AUTH_OWNER_H

#include <sys/types.h>

/* What root was before it became the owner of a folder for a while. */
struct owner {
	int	 root_fd, folder_fd;	/* the root and the current folder */
	gid_t	 gid;
	gid_t	*groups;
	int	 ngroups;
};

/*
 * Root becomes an ordinary user whose whole file system is the open folder, so that no path and no link can lead anywhere
 * else, whoever may write there. ERR_SYSTEM, ERR_NOMEM: nothing has changed.
 */
int	owner_enter(struct owner *o, int folder_fd, uid_t uid, gid_t gid);

/* The way back. Ends the process when it is barred: a program that is half its old self must not go on. */
void	owner_leave(struct owner *o);

#endif
