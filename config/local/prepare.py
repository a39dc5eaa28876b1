"""Prepares the database and the static files for the application."""

import hashlib
import os
import sys
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402 - needs django.setup()
from django.contrib.staticfiles.finders import get_finders  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import OperationalError, connection, transaction  # noqa: E402

from config.local.defaults import LOCAL  # noqa: E402
from config.local.secret_files import write_secret  # noqa: E402
from core_apps.accounts.services import create_first_administrator  # noqa: E402

ADMINISTRATOR = "admin@localhost"


def prepare() -> None:
    require_database()
    call_command("migrate", verbosity=0)
    create_administrator()
    if os.environ.get("DEMO") != "0":
        call_command("load_demo", verbosity=0)
    collect_static_files()


def require_database() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        server = f"{connection.settings_dict['HOST']}:{connection.settings_dict['PORT'] or 5432}"
        sys.exit(f"The database at {server} cannot be used. Check DATABASE_URL.\n{error}".strip())


def create_administrator() -> None:
    # In one transaction, so that an interrupted start leaves no administrator whose password nobody has seen.
    with transaction.atomic():
        password = create_first_administrator(email=ADMINISTRATOR)
        if password is None:
            return
        login = f"E-mail: {ADMINISTRATOR}\nPassword: {password}\n"
        write_secret(LOCAL / "administrator.txt", login)
    print(f"First administrator, also in .local/administrator.txt:\n{login}", flush=True)


def collect_static_files() -> None:
    """Collect static files if a source file has changed: hashing and compressing take most of a start."""
    state = f"{settings.STATIC_ROOT}\n{compute_source_digest()}"
    stamp = LOCAL / "static.stamp"
    collected = (Path(settings.STATIC_ROOT) / "staticfiles.json").exists()
    if collected and stamp.exists() and stamp.read_text() == state:
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(state)


def compute_source_digest() -> str:
    """Return a digest of the paths, sizes and modification times of all static files."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = os.stat(storage.path(name))
            digest.update(f"{storage.path(name)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    prepare()
