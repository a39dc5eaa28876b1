"""Loads a backup into another server: a laptop's, or one of the next major version."""

import json

import psycopg2

from backup import database, loading, parts
from backup.restoring import SERVER, identity
from backup.settings import FailedError, Settings


def command(settings: Settings, name: str, loaded_as: str = "") -> None:
    """Into a new database, of the same name where no other is given; what it is compared with is the manifest."""
    directory = settings.backups / name
    with identity() as key:
        wanted = parts.verify(directory, key)
        try:
            found = loading.load(directory, wanted, key, SERVER, loaded_as or wanted.database)
        except psycopg2.Error as error:
            raise FailedError(database.one_line(error)) from error
    print(json.dumps({"tables": len(found.tables), "rows": found.rows}))
