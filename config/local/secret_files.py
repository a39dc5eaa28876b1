"""Files that only their owner may read."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    # Complete or absent: a crash in between must not leave half a password.
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.rename(path)


def kept_secret(path: Path) -> str:
    """Return the secret in the file, made on first use; safe in URLs, in `.env` and in a shell."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(48))
    return path.read_text()
