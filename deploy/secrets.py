"""Adds to an env file the secrets that it lacks: `python3 -m deploy.secrets .env SECRET_KEY POSTGRES_PASSWORD`.

What is set already is never changed.
"""

import os
import re
import secrets
import sys
from pathlib import Path


def main(path: Path, names: list[str]) -> None:
    existing = path.read_text(encoding="utf-8") if path.exists() else ""
    # URL-safe characters: `$` and `#` would mean something to Compose, `/` and `@` to a database URL.
    missing = {name: secrets.token_urlsafe(48) for name in names if not re.search(rf"^{name}=.", existing, re.M)}
    if not missing:
        return
    # A blank `NAME=` stays where it is; the last line of a name is the one that counts.
    lines = existing.splitlines() + [f"{name}={value}" for name, value in missing.items()]
    write(path, "\n".join(lines) + "\n")
    print(f"Generated {' and '.join(missing)} into {path}, which only you can read. Keep it: the data needs it.")


def write(path: Path, text: str) -> None:
    """Complete or not at all, and for its owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
