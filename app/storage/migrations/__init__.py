"""Migrations of the schema; `app.storage.migrate` runs them."""
