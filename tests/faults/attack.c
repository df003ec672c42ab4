/*
 * A worker built to attack: it has been taken over, holds its sockets to auth, keys and (after login) spool, and does
 * with them what a worker never does. Run by tests/faults/test_attack.py: `attack ROOT BUILD [ACT] < password`, or
 * `attack --list`. Invariant: an act that achieves what it should not is a line FAIL; the exit status is 0 only when
 * there was none.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"

static void
attack(void)
{
	attack_before_login();
	attack_user();
	attack_spool();
	attack_keys();
	attack_at_random();
}

int
main(int argc, char **argv)
{
	char password[64] = "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		act_select(true, NULL);
		attack();
		return 0;
	}
	if (argc < 3 || fgets(password, sizeof(password), stdin) == NULL) {
		fprintf(stderr, "usage: attack ROOT BUILD [ACT] < password | attack --list\n");
		return 64;
	}
	password[strcspn(password, "\n")] = 0;
	act_select(false, argc > 3 ? argv[3] : NULL);
	rig_start(argv[1], argv[2], password);
	attack();
	rig_stop();
	return act_failures() == 0 ? 0 : 1;
}
