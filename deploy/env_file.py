"""A tier's env file: NAME=value, a line each."""

import os
import re
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """What has a value; the last line of a name counts, as it does for Compose. Empty where there is no file yet."""
    return {name: value.strip() for name, value in re.findall(r"^(\w+)=(.+)$", text(path), re.M)}


def change(path: Path, values: dict[str, str]) -> None:
    """These at the end, in place of the lines of the same names; a blank one stays where its comment is."""
    replaced = re.compile(rf"({'|'.join(values)})=.")
    others = [line for line in text(path).splitlines() if not replaced.match(line)]
    write(path, "\n".join([*others, *(f"{name}={value}" for name, value in values.items())]) + "\n")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(path: Path, content: str) -> None:
    """Complete or not at all, and for its owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    partial.replace(path)
