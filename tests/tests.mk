# Tests and demonstrations. `run` and `check` install what is missing first, so they build by calling make anew.

include tests/unit/objects.mk
include tests/fuzz/objects.mk

# The build folder, or one of our own where somebody else (root, say) has built before.
OWN_B = $(shell mkdir -p '$(B)' 2>/dev/null && test -w '$(B)' && { test ! -e '$(B)/common' || test -w '$(B)/common'; } && \
    echo '$(B)' || echo "$${XDG_CACHE_HOME:-$${HOME:-/tmp}/.cache}/postern/$(notdir $(B))")

help:
	@echo 'make              build the programs into $(B)'
	@echo 'make run          a private instance with two messages through it (DIR=folder keeps it)'
	@echo 'make check        every test (SAN=1: with ASan and UBSan)'
	@echo 'make unit layers headers     parts of it'
	@echo 'make check-clients           every mail program that can be had here, each sending through an instance'
	@echo 'make fuzz         libFuzzer on every parser (SECONDS=60 in all, NAMES="mime path")'
	@echo 'make soak         good and bad clients, kill -9, for SECONDS=600; make powercut: ROUNDS=200 power cuts (root)'
	@echo 'make check-delivery          through Postfix and Dovecot; 10000 messages with kills in between (MESSAGES=n: fewer)'
	@echo 'make install      DESTDIR= PREFIX=/usr; make uninstall'
	@echo 'make deb          a Debian package in the build folder; make check-deb tries it in a clean chroot (root)'
	@echo 'make bench        messages a second and CPU beside Postfix and Dovecot (SHORT=1: a few seconds, Postern only)'
	@echo 'make bench-deliver  the same for delivery, beside Postfix'
	@echo 'make clean        remove build/'

run:
	@sh etc/deps.sh run
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all '$(OWN_B)/tests/tools/sink'
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
	@status=0; for t in tests/pack/test_*.py; do B='$(OWN_B)' python3 $$t || status=1; done; exit $$status

# What takes longer than a check may: faults under load, and power cuts (root, FUSE, loop devices).
soak:
	@sh etc/deps.sh check
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@POSTERN_BUILD='$(OWN_B)' SECONDS='$(or $(SECONDS),600)' python3 tests/faults/test_soak.py

ROUNDS = 200
powercut:
	@sh etc/deps.sh $(if $(FS),powercut,check)
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all '$(OWN_B)/tests/faults/disklog'
	@POSTERN_BUILD='$(OWN_B)' SECONDS='$(or $(SECONDS),10)' ROUNDS='$(ROUNDS)' SEED='$(SEED)' FS='$(FS)' python3 tests/faults/test_powercut.py

check-clients:
	@sh etc/deps.sh clients
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@status=0; for t in tests/clients/test_*.py tests/e2e/test_clients.py; do \
		echo "$$t"; POSTERN_BUILD='$(OWN_B)' python3 $$t || status=1; done; exit $$status

# Through real servers, and ten thousand messages with kills in between.
check-delivery:
	@sh etc/deps.sh delivery
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all
	@status=0; for t in tests/delivery/test_*.py; do \
		echo "$$t"; POSTERN_BUILD='$(OWN_B)' python3 $$t || status=1; done; exit $$status

bench:
	@sh etc/deps.sh $(if $(SHORT),short,bench)
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all '$(OWN_B)/tests/bench/load'
	@B='$(OWN_B)' SHORT='$(SHORT)' python3 tests/bench/compare

bench-deliver:
	@sh etc/deps.sh $(if $(SHORT),short,bench)
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' all '$(OWN_B)/tests/bench/load' '$(OWN_B)/tests/tools/sink'
	@B='$(OWN_B)' SHORT='$(SHORT)' python3 tests/bench/deliver

# Unit tests: each tests/unit/test_NAME.c with the objects of UNIT_test_NAME and the libraries of UNIT_LIBS_test_NAME.
UNIT_NAMES = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS = $(UNIT_NAMES:%=$(B)/tests/unit/%)

unit: $(UNIT_PROGRAMS)

$(UNIT_PROGRAMS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $$(addprefix $$(B)/,$$(UNIT_$$*))
	$(CC) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(UNIT_LIBS_$*) -lcmocka

# Fuzz entries: each with main.o, which needs no clang, or with libFuzzer's main by `make fuzz`.
INC_tests/fuzz = $(INC_tests/unit) -Itests/fuzz
FUZZ_NAMES = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS = $(FUZZ_NAMES:%=$(B)/tests/fuzz/fuzz_%)
FUZZ_MAIN = tests/fuzz/main.o
FUZZ_SAN = address,undefined

fuzz-programs: $(FUZZ_PROGRAMS)

$(FUZZ_PROGRAMS): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $$(addprefix $$(B)/,$$(FUZZ_MAIN) $$(FUZZ_$$*))
	$(CC) $(LDFLAGS) -pthread -o $@ $(filter %.o,$^) $(FUZZ_LIBS_$*)

# SECONDS of it for each parser (NAMES="mime path": for these); inputs that say something new are kept in build/fuzz/corpus.
SECONDS =
fuzz:
	@sh etc/deps.sh fuzz
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)' fuzz-programs
	@$(MAKE) --no-print-directory -s -j2 B='$(OWN_B)/fuzz' CC=clang BUILD=asan FUZZ_MAIN= \
	    OPTIMIZE='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -fno-sanitize-recover=all' \
	    LDHARDEN='-pie -fsanitize=fuzzer,$(FUZZ_SAN)' fuzz-programs
	@B='$(OWN_B)' SECONDS='$(SECONDS)' NAMES='$(NAMES)' python3 tests/fuzz/run

# The load generator knows nothing of Postern's own code.
INC_tests/bench =
$(B)/tests/bench/load: $(B)/tests/bench/load.o
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto

$(B)/tests/tools/sink: $(B)/tests/tools/sink.o
	$(CC) $(LDFLAGS) -o $@ $^

# A worker built to attack: it speaks the contract, and nothing of what is behind it.
INC_tests/faults = -Icommon -Iipc
ATTACK_O = $(addprefix tests/faults/,attack.o attack_login.o attack_user.o attack_spool.o attack_keys.o attack_random.o \
	rig.o rig_session.o rig_kinds.o) $(IPC_O) $(COMMON_O)
$(B)/tests/faults/attack: $(ATTACK_O:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -linih

# postern-relay with session processes that a hostile server has taken over.
$(B)/tests/faults/attack_outbound.o: INC_tests/faults = -Icommon -Iipc -Isandbox -Irelay
ATTACK_RELAY_O = $(filter-out relay/session.o relay/patience.o,$(RELAY_O)) tests/faults/attack_outbound.o $(RESOLVER_O) $(SANDBOX_O) $(SERVICE_O) $(IPC_O) \
	$(COMMON_O)
$(B)/tests/faults/attack-relay: $(ATTACK_RELAY_O:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lunbound -linih -lseccomp

# The relay's resolver by itself.
$(B)/tests/tools/resolve.o: INC_tests/tools = -Icommon -Iipc -Isandbox -Irelay
RESOLVE_O = tests/tools/resolve.o $(RESOLVER_O) $(SANDBOX_O) $(IPC_O) $(COMMON_O)
$(B)/tests/tools/resolve: $(RESOLVE_O:%=$(B)/%)
	$(CC) $(LDFLAGS) -pthread -o $@ $^ -lunbound -linih -lseccomp

# A disk that remembers its writes, for power cuts; without libfuse3-dev it is left out, and its test with it.
INC_tests/faults/disklog = -I/usr/include/fuse3
$(B)/tests/faults/disklog: tests/faults/disklog.c | $$(@D)/.folder
	@if test -e /usr/include/fuse3/fuse.h; then $(CC) $(CPPFLAGS) $(INC_tests/faults/disklog) $(CFLAGS) $(LDFLAGS) -o $@ $< -lfuse3; fi

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
HEADERS = $(wildcard common/*.h ipc/*.h sandbox/*.h daemon/*/*.h auth/*.h keys/*.h spool/*.h relay/*.h sendmail/*.h admin/*.h tests/unit/*.h \
    tests/faults/*.h tests/fuzz/*.h)

headers: $(HEADERS:%=$(B)/%.alone)

$(B)/%.h.alone: %.h $(HEADERS) | $$(@D)/.folder
	$(CC) $(CPPFLAGS) $(INC_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -fsyntax-only -x c $<
	@touch $@

layers:
	@sh tests/layers.sh '$(B)'

.PHONY: help run check fuzz fuzz-programs soak powercut check-clients check-delivery deb deb-file check-deb bench bench-deliver unit headers layers
