# What each unit test is linked with: UNIT_test_NAME, objects below the build folder; UNIT_LIBS_test_NAME, libraries.

UNIT_test_common_bricks = $(COMMON_O)
UNIT_LIBS_test_common_bricks = -linih
UNIT_test_common_addr = $(COMMON_O)
UNIT_LIBS_test_common_addr = -linih
UNIT_test_common_netaddr = $(COMMON_O)
UNIT_LIBS_test_common_netaddr = -linih
UNIT_test_common_conf = $(COMMON_O)
UNIT_LIBS_test_common_conf = -linih
UNIT_test_common_io = $(COMMON_O)
UNIT_LIBS_test_common_io = -linih
UNIT_test_common_log = $(COMMON_O)
UNIT_LIBS_test_common_log = -linih
UNIT_test_ipc_messages = $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_ipc_messages = -linih
UNIT_test_ipc_channel = $(IPC_O) $(COMMON_O)
UNIT_LIBS_test_ipc_channel = -linih

UNIT_test_registry = $(REGISTRY_O) $(COMMON_O)
UNIT_LIBS_test_registry = -lsqlite3 -lcrypt -linih
UNIT_test_password = $(REGISTRY_O) $(COMMON_O)
UNIT_LIBS_test_password = -lsqlite3 -lcrypt -linih

KEYS_FIXTURE_O = tests/unit/keys_fixture.o keys/load.o keys/judge.o keys/sign.o keys/serve.o $(IPC_O) $(COMMON_O)
UNIT_test_keys_judge = keys/judge.o common/wire.o
UNIT_test_keys_serve = $(KEYS_FIXTURE_O)
UNIT_LIBS_test_keys_serve = -lcrypto -linih
UNIT_test_tls = daemon/worker/tls.o daemon/worker/provider.o $(KEYS_FIXTURE_O)
UNIT_LIBS_test_tls = -lssl -lcrypto -linih -lseccomp

UNIT_test_worker_reply = daemon/worker/reply.o
UNIT_test_worker_body = daemon/worker/body.o daemon/worker/line.o
UNIT_test_worker_path = daemon/worker/path.o common/addr.o common/str.o common/err.o
