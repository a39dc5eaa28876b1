"""Takes, verifies and restores backups with the standard library, psycopg2 and command-line programs."""
