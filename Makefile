# Postern: one plain makefile. `make help` lists the targets; SAN=1 builds and tests with ASan and UBSan.

PREFIX = /usr
SBINDIR = $(PREFIX)/sbin
LIBEXECDIR = $(PREFIX)/libexec/postern
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/postern
UNITDIR = $(PREFIX)/lib/systemd/system
SENDMAIL_LINKS = $(SBINDIR)/sendmail $(PREFIX)/lib/sendmail $(PREFIX)/bin/newaliases
COMPLETIONS = bash:bash-completion/completions/smtpadm zsh:zsh/vendor-completions/_smtpadm \
    fish:fish/vendor_completions.d/smtpadm.fish
CC = gcc
SAN = 0

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
HARDEN = -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE -fno-strict-overflow
ifeq ($(SAN),1)
B = build/san
BUILD = asan
OPTIMIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDHARDEN = -pie -fsanitize=address,undefined
else
B = build
BUILD = release
OPTIMIZE = -O2 -g -D_FORTIFY_SOURCE=2
LDHARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif
VERSION = 0.1
CPPFLAGS = -D_GNU_SOURCE -DSBINDIR='"$(SBINDIR)"' -DLIBEXECDIR='"$(LIBEXECDIR)"' -DPOSTERN_VERSION='"$(VERSION)"'
CFLAGS = -std=c11 $(WARN) $(HARDEN) $(OPTIMIZE)
LDFLAGS = $(LDHARDEN)

# What each folder may include: its own line, and no other.
INC_common = -Icommon
INC_ipc = -Icommon -Iipc
INC_sandbox = -Icommon -Isandbox
INC_daemon/worker = -Icommon -Iipc -Isandbox -Idaemon/worker
INC_daemon/master = -Icommon -Iipc -Isandbox -Idaemon/worker -Idaemon/master
INC_auth = -Icommon -Iipc -Isandbox -Iauth
INC_keys = -Icommon -Iipc -Isandbox -Ikeys
INC_relay = -Icommon -Iipc -Isandbox -Irelay
INC_spool = -Icommon -Iipc -Isandbox -Ispool
INC_admin = -Icommon -Iipc -Isandbox -Iauth -Ispool -Iadmin
INC_sendmail = -Icommon -Isendmail
INC_tests/unit = -Icommon -Iipc -Isandbox -Idaemon/worker -Idaemon/master -Iauth -Ikeys -Ispool -Irelay -Iadmin -Isendmail -Itests/unit

# One object list a program: what is not in it is not in the program.
COMMON = buf wire str base64 mem io err exhausted log log_line conf conf_hint conf_listener conf_certificate conf_delivery conf_route conf_load addr netaddr instance loop text
COMMON_O = $(COMMON:%=common/%.o)
IPC_O = ipc/ipc.o ipc/fields.o ipc/message_session.o ipc/message_spool.o ipc/message_keys.o ipc/message_plain.o ipc/message_control.o \
	ipc/message_queue.o ipc/message_relay.o ipc/message_resolve.o ipc/message_dkim.o
SERVICE_O = ipc/service.o ipc/tally.o
CONTROL_O = ipc/ipc.o ipc/fields.o ipc/message_control.o ipc/message_plain.o ipc/message_queue.o ipc/message_relay.o
SANDBOX_O = sandbox/sandbox.o sandbox/seccomp.o sandbox/landlock.o sandbox/selftest.o sandbox/build_$(BUILD).o

WORKER_O =
MASTER_O =
REGISTRY_O =
AUTH_O =
KEYS_O =
SPOOLLIB_O =
SPOOL_O =
RELAY_O =
ADMIN_O =
SENDMAIL_O =

include objects.mk

POSTERND = $(MASTER_O) $(WORKER_O) $(SANDBOX_O) $(IPC_O) $(COMMON_O)
POSTERN_AUTH = $(AUTH_O) $(REGISTRY_O) $(SANDBOX_O) $(SERVICE_O) $(IPC_O) $(COMMON_O)
POSTERN_KEYS = $(KEYS_O) $(SANDBOX_O) $(SERVICE_O) $(IPC_O) $(COMMON_O)
POSTERN_RELAY = $(RELAY_O) $(RESOLVER_O) $(SANDBOX_O) $(SERVICE_O) $(IPC_O) $(COMMON_O)
POSTERN_SPOOL = $(SPOOL_O) $(SPOOLLIB_O) $(SANDBOX_O) $(SERVICE_O) $(IPC_O) $(COMMON_O)
SMTPADM = $(ADMIN_O) $(REGISTRY_O) $(SPOOLLIB_O) $(CONTROL_O) $(COMMON_O)

PROGRAMS = $(B)/posternd $(B)/postern-auth $(B)/postern-keys $(B)/postern-spool $(B)/postern-relay $(B)/smtpadm $(B)/postern-sendmail

all: $(PROGRAMS)

$(B)/posternd: $(POSTERND:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -linih -lseccomp
$(B)/postern-auth: $(POSTERN_AUTH:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lsqlite3 -lcrypt -lcrypto -linih -lseccomp
$(B)/postern-keys: $(POSTERN_KEYS:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -linih -lseccomp
$(B)/postern-spool: $(POSTERN_SPOOL:%=$(B)/%)
	$(CC) $(LDFLAGS) -pthread -o $@ $^ -lcrypto -linih -lseccomp
$(B)/postern-sendmail: $(SENDMAIL_O:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^
$(B)/postern-relay: $(POSTERN_RELAY:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lunbound -linih -lseccomp
$(B)/smtpadm: $(SMTPADM:%=$(B)/%)
	$(CC) $(LDFLAGS) -o $@ $^ -lsqlite3 -lcrypt -lssl -lcrypto -linih -lunbound

.SECONDEXPANSION:
$(B)/%.o: %.c | $$(@D)/.folder
	$(CC) $(CPPFLAGS) $(INC_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%/.folder:
	@mkdir -p $(@D) && touch $@
.PRECIOUS: $(B)/%/.folder $(B)/%.o

# What `make install` puts where; `make uninstall` removes exactly that. MAILQ=1 adds the link bin/mailq, SENDMAIL=1 that one and
# sbin/sendmail, lib/sendmail, bin/newaliases.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)
	install -m 755 $(B)/posternd $(B)/smtpadm $(B)/postern-sendmail $(DESTDIR)$(SBINDIR)
	install -m 755 $(B)/postern-auth $(B)/postern-keys $(B)/postern-spool $(B)/postern-relay $(DESTDIR)$(LIBEXECDIR)
	for page in man/*.[1-8]; do \
	    install -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page#man/} || exit 1; done
	for unit in service socket; do \
	    sed 's,/usr/sbin/\(posternd\|smtpadm\),$(SBINDIR)/\1,' etc/systemd/postern.$$unit >$(DESTDIR)$(UNITDIR)/postern.$$unit && \
	    chmod 644 $(DESTDIR)$(UNITDIR)/postern.$$unit || exit 1; done
	install -m 644 etc/postern.conf.sample README.md SECURITY.md LICENSE $(DESTDIR)$(DOCDIR)
	for pair in $(COMPLETIONS); do \
	    $(B)/smtpadm completion $${pair%%:*} >$(B)/completion.new 2>/dev/null || continue; \
	    install -D -m 644 $(B)/completion.new $(DESTDIR)$(PREFIX)/share/$${pair#*:} || exit 1; done
ifeq ($(SENDMAIL),1)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib
	for link in $(SENDMAIL_LINKS); do ln -srf $(DESTDIR)$(SBINDIR)/postern-sendmail $(DESTDIR)$$link || exit 1; done
endif
ifneq ($(filter 1,$(MAILQ) $(SENDMAIL)),)
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -srf $(DESTDIR)$(SBINDIR)/smtpadm $(DESTDIR)$(PREFIX)/bin/mailq
endif

# Configuration, registry and spool stay.
uninstall:
	for pair in $(SENDMAIL_LINKS:%=%:postern-sendmail) $(PREFIX)/bin/mailq:smtpadm; do \
	    link=$(DESTDIR)$${pair%:*}; test ! -L $$link || \
	    test "$$(basename "$$(readlink $$link)")" != $${pair#*:} || rm $$link || exit 1; done
	rm -f $(DESTDIR)$(SBINDIR)/posternd $(DESTDIR)$(SBINDIR)/smtpadm $(DESTDIR)$(SBINDIR)/postern-sendmail
	for name in auth keys spool relay; do rm -f $(DESTDIR)$(LIBEXECDIR)/postern-$$name; done
	for name in postern.conf.sample README.md SECURITY.md LICENSE; do rm -f $(DESTDIR)$(DOCDIR)/$$name; done
	for folder in $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DOCDIR); do \
	    test ! -d $$folder || rmdir --ignore-fail-on-non-empty $$folder; done
	for page in man/*.[1-8]; do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page#man/}; done
	rm -f $(DESTDIR)$(UNITDIR)/postern.service $(DESTDIR)$(UNITDIR)/postern.socket
	for pair in $(COMPLETIONS); do rm -f $(DESTDIR)$(PREFIX)/share/$${pair#*:}; done

clean:
	rm -rf build

-include $(shell test -d $(B) && find $(B) -name '*.d')

include tests/tests.mk

.PHONY: all install uninstall clean
