"""Keeps docs/openapi.yaml in step with the code: `python -m config.checks.schema [--check]`.

A change that would break a program that uses the API is refused; BREAKING=1 writes it all the same.
"""

import os
import sys
from pathlib import Path

import django
import yaml
from django.core.management import call_command

from config.checks.schema_changes import Changes

FILE = Path(__file__).resolve().parents[2] / "docs/openapi.yaml"


def main(*, check: bool) -> None:
    made = FILE.with_name(f".{FILE.name}")
    try:
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(made))
        refuse_breaking(made)
        if check and (not FILE.exists() or made.read_text() != FILE.read_text()):
            sys.exit(f"{FILE.name} is not the schema of this code. Write it: make schema")
        if not check:
            made.replace(FILE)
    finally:
        made.unlink(missing_ok=True)


def refuse_breaking(made: Path) -> None:
    if not FILE.exists() or os.environ.get("BREAKING") == "1":
        return
    old, new = (yaml.safe_load(path.read_text()) for path in (FILE, made))
    if changes := Changes(old, new).breaking():
        sys.exit(
            "Programs that use the API would break:\n  "
            + "\n  ".join(changes)
            + "\nKeep the old beside the new; or, where nobody uses it: make schema BREAKING=1"
        )


if __name__ == "__main__":
    django.setup()
    main(check="--check" in sys.argv)
