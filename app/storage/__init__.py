"""The database: schema, transitions and queries, on SQLite and PostgreSQL alike."""
