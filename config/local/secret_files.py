"""Reads and writes files that only their owner may read."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    # Complete or absent: a crash must not leave half a password.
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.rename(path)


def get_or_create_secret(path: Path) -> str:
    """Return the secret in the file, created on first use; it is safe in URLs, `.env` and shells."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(48))
    return path.read_text()
