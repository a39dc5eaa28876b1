"""Generates missing secrets in an env file: `python3 -m deploy.secrets .env SECRET_KEY POSTGRES_PASSWORD`.

A secret that is set is never changed.
"""

import secrets
import sys
from pathlib import Path

from deploy import env_file


def main(path: Path, names: list[str]) -> None:
    existing = env_file.read(path)
    # URL-safe characters: `$` and `#` are special to Compose, `/` and `@` in a database URL.
    missing = {name: secrets.token_urlsafe(48) for name in names if name not in existing}
    if not missing:
        return
    env_file.change(path, missing)
    print(f"Generated {' and '.join(missing)} in {path}, readable only by you. Keep it: the data needs it.")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
