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
	@echo 'make check-clients           every mail program that can be had here, each sending through an instance'
	@echo 'make install      DESTDIR= PREFIX=/usr; make uninstall'
	@echo 'make deb          a Debian package in the build folder; make check-deb tries it in a clean chroot (root)'
	@echo 'make bench        messages a second and CPU beside Postfix and Dovecot (SHORT=1: a few seconds, Postern only)'
	@echo 'make clean        remove build/'

run:
	@sh etc/deps.sh run
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@B='$(OWN_B)' DIR='$(DIR)' sh etc/demo

check:
	@sh etc/deps.sh check
	@B='$(OWN_B)' SAN='$(SAN)' python3 tests/run $(TESTS)

# A Debian package in the build folder; and the test of it in a clean chroot.
deb:
	@sh etc/deps.sh deb
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@$(MAKE) --no-print-directory -s B='$(OWN_B)' deb-file

deb-file:
	@B='$(B)' D='$(D)' VERSION='$(VERSION)' sh etc/debian/build

check-deb:
	@sh etc/deps.sh check-deb
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@B='$(OWN_B)' python3 tests/pack/test_deb.py

check-clients:
	@sh etc/deps.sh clients
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@status=0; for t in tests/clients/test_*.py tests/e2e/test_clients.py; do \
		echo "$$t"; POSTERN_BUILD='$(OWN_B)' python3 $$t || status=1; done; exit $$status

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

# A worker built to attack: it speaks the contract, and nothing of what is behind it.
INC_tests/faults = -Icommon -Iipc
ATTACK_O = $(addprefix tests/faults/,attack.o attack_login.o attack_user.o attack_spool.o attack_keys.o attack_random.o \
	rig.o rig_session.o rig_kinds.o) $(IPC_O) $(COMMON_O)
$(B)/tests/faults/attack: $(ATTACK_O:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -linih

# Prints the table of replies, and the manual page that is made of it.
INC_tests/tools = -Idaemon/worker -I$(B)/tests/tools
$(B)/tests/tools/reply_names.h: daemon/worker/reply.h | $$(@D)/.folder
	@sed -n '/^enum reply_id/,/^}/s/^\t\(REPLY_[A-Z0-9_]*\),.*/[\1] = "\1",/p' daemon/worker/reply.h >$@
$(B)/tests/tools/replies.o: $(B)/tests/tools/reply_names.h
$(B)/tests/tools/replies: $(B)/tests/tools/replies.o $(B)/daemon/worker/reply.o
	$(CC) $(LDFLAGS) -o $@ $^
man/postern-replies.7: $(B)/tests/tools/replies
	$(B)/tests/tools/replies --mdoc >$@.new && mv $@.new $@

# Each header compiles alone, with what its folder may include.
HEADERS = $(wildcard common/*.h ipc/*.h sandbox/*.h daemon/*/*.h auth/*.h keys/*.h spool/*.h admin/*.h tests/unit/*.h \
    tests/faults/*.h)

headers: $(HEADERS:%=$(B)/%.alone)

$(B)/%.h.alone: %.h $(HEADERS) | $$(@D)/.folder
	$(CC) $(CPPFLAGS) $(INC_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -fsyntax-only -x c $<
	@touch $@

layers:
	@sh tests/layers.sh '$(B)'

.PHONY: help run check check-clients deb deb-file check-deb bench unit headers layers
