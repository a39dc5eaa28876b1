"""Backups: taking them, proving them, restoring them. Python's standard library and psycopg2, as Debian has them."""
