"""Backups: taking them, proving them, restoring them. Python's standard library, psycopg2 and programs."""
