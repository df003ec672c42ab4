# Tests and demonstrations. `run` and `check` install what is missing first, so they build by calling make anew.

include tests/unit/objects.mk

# The build folder, or one of our own where somebody else (root, say) has built before.
OWN_B = $(shell mkdir -p '$(B)' 2>/dev/null && test -w '$(B)' && { test ! -e '$(B)/common' || test -w '$(B)/common'; } && \
    echo '$(B)' || echo "$${XDG_CACHE_HOME:-$${HOME:-/tmp}/.cache}/postern/$(notdir $(B))")

help:
	@echo 'make              build the programs into $(B)'
	@echo 'make run          a private instance with two messages through it (DIR=folder keeps it)'
	@echo 'make check        every test (SAN=1: with ASan and UBSan)'
	@echo 'make unit layers headers     parts of it'
	@echo 'make bench        messages a second and CPU beside Postfix and Dovecot (SHORT=1: a few seconds, Postern only)'
	@echo 'make clean        remove build/'

run:
	@sh etc/deps.sh run
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@B='$(OWN_B)' DIR='$(DIR)' sh etc/demo

check:
	@sh etc/deps.sh check
	@B='$(OWN_B)' SAN='$(SAN)' python3 tests/run $(TESTS)

bench:
	@sh etc/deps.sh $(if $(SHORT),short,bench)
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all '$(OWN_B)/tests/bench/load'
	@B='$(OWN_B)' SHORT='$(SHORT)' python3 tests/bench/compare

# Unit tests: each tests/unit/test_NAME.c with the objects of UNIT_test_NAME and the libraries of UNIT_LIBS_test_NAME.
UNIT_NAMES = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS = $(UNIT_NAMES:%=$(B)/tests/unit/%)

unit: $(UNIT_PROGRAMS)

$(UNIT_PROGRAMS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $$(addprefix $$(B)/,$$(UNIT_$$*))
	$(CC) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(UNIT_LIBS_$*) -lcmocka

# The load generator knows nothing of Postern's own code.
INC_tests/bench =
$(B)/tests/bench/load: $(B)/tests/bench/load.o
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

# Each header compiles alone, with what its folder may include.
HEADERS = $(wildcard common/*.h ipc/*.h sandbox/*.h daemon/*/*.h auth/*.h keys/*.h spool/*.h admin/*.h tests/unit/*.h)

headers: $(HEADERS:%=$(B)/%.alone)

$(B)/%.h.alone: %.h $(HEADERS) | $$(@D)/.folder
	$(CC) $(CPPFLAGS) $(INC_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -fsyntax-only -x c $<
	@touch $@

layers:
	@sh tests/layers.sh '$(B)'

.PHONY: help run check bench unit headers layers
