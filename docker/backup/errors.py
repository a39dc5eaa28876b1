"""Errors, in one line each."""

import psycopg2


class FailedError(Exception):
    """Why it was not done, in one line for the person who reads it."""


# What a program that is not at fault itself may meet.
EXPECTED = (FailedError, psycopg2.Error, OSError)


def describe(error: Exception) -> str:
    if isinstance(error, psycopg2.Error):
        return f"the database: {' '.join(str(error).split())}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
