"""Brings the database and the static files to where the application can serve."""

import hashlib
import os
from pathlib import Path

import django
from django.db import connections

from config.local.defaults import LOCAL
from config.local.secret_files import write_secret
from config.local.servers import RunError

ADMINISTRATOR = "admin@localhost"


def prepare() -> None:
    django.setup()
    from django.core.management import call_command

    require_database()
    call_command("migrate", verbosity=0)
    create_administrator()
    if os.environ.get("DEMO") != "0":
        call_command("load_demo", verbosity=0)
    collect_static_files()
    connections.close_all()  # the supervisor needs none while the web server runs


def require_database() -> None:
    from django.db import OperationalError, connection

    try:
        connection.ensure_connection()
    except OperationalError as error:
        server = f"{connection.settings_dict['HOST']}:{connection.settings_dict['PORT'] or 5432}"
        raise RunError(f"The database at {server} cannot be used. Is DATABASE_URL right?\n{error}".strip()) from None


def create_administrator() -> None:
    from django.db import transaction

    from core_apps.accounts.services import create_first_administrator

    # One transaction, so that a stop in between cannot leave an administrator whose password nobody has seen.
    with transaction.atomic():
        password = create_first_administrator(email=ADMINISTRATOR)
        if password is None:
            return
        login = f"E-mail: {ADMINISTRATOR}\nPassword: {password}\n"
        write_secret(LOCAL / "administrator.txt", login)
    print(f"First administrator, kept in .local/administrator.txt:\n{login}", flush=True)


def collect_static_files() -> None:
    """Collect, unless every source file is as it was: hashing and compressing them costs most of a start."""
    from django.conf import settings
    from django.core.management import call_command

    state = f"{settings.STATIC_ROOT}\n{static_sources()}"
    stamp = LOCAL / "static.stamp"
    collected = (Path(settings.STATIC_ROOT) / "staticfiles.json").exists()
    if collected and stamp.exists() and stamp.read_text() == state:
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(state)


def static_sources() -> str:
    """Return a digest of every source file's path, size and time of change."""
    from django.contrib.staticfiles.finders import get_finders

    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = os.stat(storage.path(name))
            digest.update(f"{storage.path(name)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
