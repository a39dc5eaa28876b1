"""The package's exception, and one-line messages."""

import psycopg2


class BackupError(Exception):
    """The operation failed; the message is one line for a person."""


# Errors of the environment, not of this program.
EXPECTED = (BackupError, psycopg2.Error, OSError)


def describe(error: Exception) -> str:
    if isinstance(error, psycopg2.Error):
        return f"the database: {' '.join(str(error).split())}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
