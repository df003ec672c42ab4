# The objects of each program (and of the two libraries that smtpadm shares). One line or block a program.

MASTER_O =

WORKER_O =

REGISTRY_O =

AUTH_O =

KEYS_O =

SPOOLLIB_O =

SPOOL_O =

ADMIN_O =
