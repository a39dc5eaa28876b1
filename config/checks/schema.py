"""Updates docs/openapi.yaml, or checks that it matches the code: `python -m config.checks.schema [--check]`.

Refuses changes that break API clients, unless BREAKING=1 is set.
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
    new_file = FILE.with_name(f".{FILE.name}")
    try:
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(new_file))
        refuse_breaking(new_file)
        if check and (not FILE.exists() or new_file.read_text() != FILE.read_text()):
            sys.exit(f"{FILE.name} does not match the code. Update it: make schema")
        if not check:
            new_file.replace(FILE)
    finally:
        new_file.unlink(missing_ok=True)


def refuse_breaking(new_file: Path) -> None:
    if not FILE.exists() or os.environ.get("BREAKING") == "1":
        return
    old, new = (yaml.safe_load(path.read_text()) for path in (FILE, new_file))
    if changes := Changes(old, new).find_breaking():
        sys.exit(
            "These changes break API clients:\n  "
            + "\n  ".join(changes)
            + "\nKeep the old beside the new or, if no client uses it: make schema BREAKING=1"
        )


if __name__ == "__main__":
    django.setup()
    main(check="--check" in sys.argv)
