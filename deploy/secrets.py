"""Generates missing secrets in an env file: `python3 -m deploy.secrets .env SECRET_KEY POSTGRES_PASSWORD`.

A secret that is set is never changed. The first start also names the project after the checkout's folder, so that two
checkouts on one machine have containers and data of their own.
"""

import re
import secrets
import sys
from pathlib import Path

from deploy import env_file

# The compose files write them into DATABASE_URL and REDIS_URL.
IN_URLS = {"POSTGRES_APP_PASSWORD", "REDIS_PASSWORD"}


def main(path: Path, names: list[str]) -> None:
    existing = env_file.read(path)
    for name in IN_URLS & existing.keys():
        if not re.fullmatch(r"[\w.~-]+", existing[name], re.ASCII):
            sys.exit(f"{path}: {name} becomes part of a URL; use only letters, digits and - . _ ~")
    # URL-safe characters: `$` and `#` are special to Compose, `/` and `@` in a database URL.
    missing = {name: secrets.token_urlsafe(48) for name in names if name not in existing}
    if not missing:
        return
    values = dict(missing)
    # Older installations keep their name, and with it their volumes.
    if "POSTGRES_PASSWORD" in missing and "COMPOSE_PROJECT" not in existing:
        values["COMPOSE_PROJECT"] = build_project_name(Path.cwd())
    env_file.change(path, values)
    print(f"Generated {' and '.join(missing)} in {path}, readable only by you. Keep it: the data needs it.")


def build_project_name(folder: Path) -> str:
    """Return the folder's name as Compose accepts it."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.name.lower()).strip("-_") or "crm"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
