"""A tier's env file: one NAME=value per line."""

import os
import re
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """The variables that have a value. Of two lines with one name the last counts, as in Compose. No file: empty."""
    return {name: value.strip() for name, value in re.findall(r"^(\w+)=(.+)$", text(path), re.M)}


def change(path: Path, values: dict[str, str]) -> None:
    """Replace the lines with these names by new ones at the end; a blank one stays beside its comment."""
    replaced = re.compile(rf"({'|'.join(values)})=.")
    others = [line for line in text(path).splitlines() if not replaced.match(line)]
    write(path, "\n".join([*others, *(f"{name}={value}" for name, value in values.items())]) + "\n")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(path: Path, content: str) -> None:
    """Write the file atomically, with mode 0600."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    partial.replace(path)
