#ifndef UNIT_REGISTRY_FIXTURE_H
#define UNIT_REGISTRY_FIXTURE_H

#include "unit.h"

#include "instance.h"
#include "registry.h"

/* A real hash is not needed: only its form is looked at. */
#define HASH "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
#define HASH_2 "$6$saltsalu$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

/* The state of a test: a registry in a folder of its own. */
struct place {
	char			folder[64];
	struct instance		in;
	struct instance_ids	ids;
};

int	registry_set_up(void **state);
int	registry_tear_down(void **state);

struct registry *open_registry(struct place *p);

/* registry_check_login(), for those who look at its verdict only. */
int	check_login(struct registry *r, uint64_t account, uint64_t credential, uint64_t changed_us);

/* Puts a database in the place of the registry's that has nothing but what this SQL makes. */
void	make_registry(struct place *p, const char *sql);
/* SQL behind the library's back. */
void	run_sql(struct place *p, const char *sql);
int	ask_sql(struct place *p, const char *sql);

#endif
