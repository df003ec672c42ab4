#ifndef AUTH_SCHEMA_H
#define AUTH_SCHEMA_H

/* "Post": SQLite's application_id of a registry. */
#define SCHEMA_APPLICATION_ID 0x506f7374

/* The SQL that brings a registry from version `from` to `from + 1`, user_version included, or NULL. Version 0 is empty. */
const char *schema_migration(int from);

/* Settings of each connection, and what an empty database needs once before its first migration. */
extern const char schema_connection[];
extern const char schema_empty[];

#endif
