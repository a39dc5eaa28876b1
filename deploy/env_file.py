"""A tier's env file: one NAME=value per line."""

import os
import re
import sys
from pathlib import Path

# Compose also accepts `export NAME=…`, spaces and a colon.
LINE = re.compile(r"\s*(?:export\s+)?(?P<name>\w+)\s*[=:]\s*(?P<value>.*?)\s*")


def read(path: Path) -> dict[str, str]:
    """Return the variables that have a value, as Docker Compose reads the file; empty if there is no file."""
    values = dict(map(parse_line, text(path).splitlines()))  # of two lines with one name the last one counts
    return {name: value for name, raw in values.items() if (value := parse_value(raw))}


def parse_line(line: str) -> tuple[str, str]:
    """Return the name and the text of the value; blank for a comment or a blank line."""
    found = LINE.fullmatch(line)
    return (found["name"], found["value"]) if found else ("", "")


def parse_value(raw: str) -> str:
    """Return the value without quotes, or without a comment."""
    if quoted := re.match(r"""(["'])(.*?)\1""", raw):
        return quoted[2]
    return re.sub(r"(^|\s+)#.*", "", raw).strip()


def change(path: Path, values: dict[str, str]) -> None:
    """Replace the lines with these names by new ones at the end; a blank one stays beside its comment."""
    parsed = ((line, *parse_line(line)) for line in text(path).splitlines())
    others = [line for line, name, raw in parsed if not (raw and name in values)]
    write(path, "\n".join([*others, *(f"{name}={value}" for name, value in values.items())]) + "\n")


def move(path: Path, target: Path, prefix: str) -> list[str]:
    """Move the lines whose names have this prefix, and return the names. Quotes stay: Compose reads the lines there."""
    lines = text(path).splitlines()
    moved = {name: line for line in lines if (name := parse_line(line)[0]).startswith(prefix)}
    if moved:
        others = [line for line in text(target).splitlines() if parse_line(line)[0] not in moved]
        write(target, "\n".join([*others, *moved.values()]) + "\n")
        write(path, "".join(f"{line}\n" for line in lines if parse_line(line)[0] not in moved))
    return list(moved)


def text(path: Path) -> str:
    """Ends the program with a message if the file is not UTF-8."""
    content = path.read_bytes() if path.exists() else b""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sys.exit(f"{path}: line {line} is not UTF-8 text. Save the file as UTF-8.")


def write(path: Path, content: str) -> None:
    """Write the file atomically, with mode 0600."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    partial.replace(path)
