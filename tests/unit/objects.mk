# What each unit test is linked with: UNIT_test_NAME, objects below the build folder; UNIT_LIBS_test_NAME, libraries.

UNIT_test_common_bricks = $(COMMON_O)
UNIT_LIBS_test_common_bricks = -linih
UNIT_test_common_addr = $(COMMON_O)
UNIT_LIBS_test_common_addr = -linih
UNIT_test_common_netaddr = $(COMMON_O)
UNIT_LIBS_test_common_netaddr = -linih
UNIT_test_common_conf = $(COMMON_O)
UNIT_LIBS_test_common_conf = -linih
UNIT_test_common_conf_delivery = $(COMMON_O)
UNIT_LIBS_test_common_conf_delivery = -linih
UNIT_test_common_conf_hint = $(COMMON_O)
UNIT_LIBS_test_common_conf_hint = -linih
UNIT_test_common_route = $(COMMON_O)
UNIT_LIBS_test_common_route = -linih
UNIT_test_common_io = $(COMMON_O)
UNIT_LIBS_test_common_io = -linih
UNIT_test_common_log = $(COMMON_O)
UNIT_LIBS_test_common_log = -linih
UNIT_test_ipc_messages = tests/unit/message_rows.o $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_ipc_messages = -linih
UNIT_test_ipc_channel = $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_ipc_channel = -linih

REGISTRY_FIXTURE_O = tests/unit/registry_fixture.o $(REGISTRY_O) $(COMMON_O)
UNIT_test_relay_reply = relay/remote_reply.o relay/capability.o common/str.o common/err.o
UNIT_test_relay_parts = relay/outgoing.o relay/original.o relay/mx.o relay/scram.o common/base64.o common/str.o common/mem.o common/err.o
UNIT_LIBS_test_relay_parts = -lcrypto
UNIT_test_relay_records = relay/resolver_records.o common/str.o common/err.o
UNIT_test_registry = $(REGISTRY_FIXTURE_O)
UNIT_LIBS_test_registry = -lsqlite3 -lcrypt -linih
UNIT_test_registry_file = $(REGISTRY_FIXTURE_O)
UNIT_LIBS_test_registry_file = -lsqlite3 -lcrypt -linih
UNIT_test_registry_scope = $(REGISTRY_FIXTURE_O)
UNIT_LIBS_test_registry_scope = -lsqlite3 -lcrypt -linih
UNIT_test_auth_rates = auth/rates.o
UNIT_test_auth_scope = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_scope = -lsqlite3 -lcrypt -linih
$(B)/tests/unit/test_auth_scope: | $(B)/postern-auth
UNIT_test_registry_people = $(REGISTRY_O) $(COMMON_O)
UNIT_LIBS_test_registry_people = -lsqlite3 -lcrypt -linih
UNIT_test_password = $(REGISTRY_O) $(COMMON_O)
UNIT_LIBS_test_password = -lsqlite3 -lcrypt -linih

KEYS_FIXTURE_O = tests/unit/keys_fixture.o keys/load.o keys/judge.o keys/sign.o keys/serve.o $(DKIM_O) keys/dkim_serve.o $(IPC_O) $(COMMON_O)
UNIT_test_keys_judge = keys/judge.o common/wire.o
UNIT_test_keys_serve = $(KEYS_FIXTURE_O)
UNIT_LIBS_test_keys_serve = -lcrypto -linih
UNIT_test_tls = tests/unit/tls_fixture.o daemon/worker/tls.o daemon/worker/tls_context.o daemon/worker/tls_names.o daemon/worker/provider.o $(KEYS_FIXTURE_O)
UNIT_LIBS_test_tls = -lssl -lcrypto -linih -lseccomp
UNIT_test_tls_names = $(UNIT_test_tls)
UNIT_LIBS_test_tls_names = $(UNIT_LIBS_test_tls)

UNIT_test_worker_reply = daemon/worker/reply.o
UNIT_test_worker_body = daemon/worker/body.o daemon/worker/line.o
MIME_O = daemon/worker/mime.o daemon/worker/mime_header.o daemon/worker/mime_name.o daemon/worker/mime_decode.o \
	common/base64.o common/str.o
UNIT_test_worker_mime = $(MIME_O)
UNIT_test_worker_mime_parts = $(MIME_O)
UNIT_test_worker_mime_limits = $(MIME_O)
UNIT_test_worker_path = daemon/worker/path.o common/addr.o common/str.o common/err.o
# These drive the program itself.
UNIT_test_auth_login = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_login = -lsqlite3 -lcrypt -linih
UNIT_test_auth_mail = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_mail = -lsqlite3 -lcrypt -linih
UNIT_test_auth_repeated = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_repeated = -lsqlite3 -lcrypt -linih
$(B)/tests/unit/test_auth_repeated: | $(B)/postern-auth
UNIT_test_auth_faults = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_faults = -lsqlite3 -lcrypt -linih
$(B)/tests/unit/test_auth_login $(B)/tests/unit/test_auth_mail $(B)/tests/unit/test_auth_faults: | $(B)/postern-auth
UNIT_test_auth_local = tests/unit/auth_driver.o $(REGISTRY_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_auth_local = -lsqlite3 -lcrypt -linih
$(B)/tests/unit/test_auth_local: | $(B)/postern-auth
UNIT_test_auth_parts = auth/throttle.o auth/queue.o auth/counters.o auth/deadlines.o auth/remember.o $(COMMON_O)
UNIT_LIBS_test_auth_parts = -lcrypto -linih

SPOOL_FIXTURE_O = tests/unit/spool_fixture.o $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_test_spool_service = $(SPOOL_FIXTURE_O)
UNIT_LIBS_test_spool_service = -lcrypto -linih
$(B)/tests/unit/test_spool_service: | $(B)/postern-spool
UNIT_test_spool_peers = $(SPOOL_FIXTURE_O)
UNIT_LIBS_test_spool_peers = -lcrypto -linih
$(B)/tests/unit/test_spool_peers: | $(B)/postern-spool
UNIT_test_spool_start = $(SPOOL_FIXTURE_O)
UNIT_LIBS_test_spool_start = -lcrypto -linih
$(B)/tests/unit/test_spool_start: | $(B)/postern-spool
UNIT_test_spool_control = spool/waiting.o $(SPOOL_FIXTURE_O)
UNIT_LIBS_test_spool_control = -lcrypto -linih
$(B)/tests/unit/test_spool_control: | $(B)/postern-spool
UNIT_test_spool_kill = $(SPOOL_FIXTURE_O)
UNIT_LIBS_test_spool_kill = -lcrypto -linih
$(B)/tests/unit/test_spool_kill: | $(B)/postern-spool
UNIT_test_spool_header = spool/header.o common/mailbox_list.o spool/assembly.o spool/format.o spool/name.o $(COMMON_O)
UNIT_LIBS_test_spool_header = -linih
UNIT_test_spool_format = spool/envelope.o spool/id.o spool/outcome.o spool/room.o $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_format = -lcrypto -linih
UNIT_test_spool_report = spool/report.o spool/report_words.o $(COMMON_O)
UNIT_LIBS_test_spool_report = -linih
UNIT_test_spool_trace = $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_trace = -lcrypto -linih
UNIT_test_spool_change = $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_change = -lcrypto -linih
UNIT_test_spool_journal = tests/unit/journal_fixture.o $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_journal = -lcrypto -linih
UNIT_test_spool_journal_faults = tests/unit/journal_fixture.o $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_journal_faults = -lcrypto -linih
UNIT_test_spool_walk = $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_walk = -lcrypto -linih
UNIT_test_spool_state = $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_state = -lcrypto -linih
UNIT_test_spool_schedule = spool/schedule.o spool/destination.o spool/settle.o $(SPOOLLIB_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_schedule = -lcrypto -linih
DELIVER_FIXTURE_O = tests/unit/relay_driver.o $(SPOOL_FIXTURE_O)
UNIT_test_spool_deliver = $(DELIVER_FIXTURE_O)
UNIT_LIBS_test_spool_deliver = -lcrypto -linih
$(B)/tests/unit/test_spool_deliver: | $(B)/postern-spool
UNIT_test_spool_deliver_kill = $(DELIVER_FIXTURE_O)
UNIT_LIBS_test_spool_deliver_kill = -lcrypto -linih
$(B)/tests/unit/test_spool_deliver_kill: | $(B)/postern-spool
UNIT_test_spool_strays = $(DELIVER_FIXTURE_O)
UNIT_LIBS_test_spool_strays = -lcrypto -linih
$(B)/tests/unit/test_spool_strays: | $(B)/postern-spool
UNIT_test_spool_retry = $(DELIVER_FIXTURE_O)
UNIT_LIBS_test_spool_retry = -lcrypto -linih
$(B)/tests/unit/test_spool_retry: | $(B)/postern-spool
UNIT_test_spool_full = $(DELIVER_FIXTURE_O)
UNIT_LIBS_test_spool_full = -lcrypto -linih
$(B)/tests/unit/test_spool_full: | $(B)/postern-spool

UNIT_test_keys_dkim = tests/unit/dkim_fixture.o $(DKIM_O) $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_keys_dkim = -lcrypto -linih
UNIT_test_keys_dkim_serve = keys/dkim_serve.o $(UNIT_test_keys_dkim)
UNIT_LIBS_test_keys_dkim_serve = -lcrypto -linih
UNIT_test_spool_dkim = spool/dkim.o spool/keys_link.o common/mailbox_list.o $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_spool_dkim = -lcrypto -linih
UNIT_test_sendmail_parts = sendmail/input.o sendmail/mailboxes.o sendmail/rewrite.o sendmail/recipients.o sendmail/options.o \
    common/buf.o common/str.o common/err.o common/base64.o common/mem.o
