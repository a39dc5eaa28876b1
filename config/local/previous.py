"""Runs the tests of the tag before this checkout on this checkout's schema: `make test-previous ARGS="-k import"`.

While a version is deployed, the one before it still serves, on the new schema. Its tests come from the tag, with its
own requirements; the database is migrated by the code that stands here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from config.local.defaults import CHECKOUT, LOCAL, local_environment
from config.local.engines import engines
from config.local.scratch import scratch_directory
from config.local.servers import RunError


def main(arguments: list[str]) -> int:
    tag = previous_tag()
    if tag is None:
        print("There is no older tag: no previous version to test.")
        return 0
    previous = checkout_of(tag)
    with scratch_directory(LOCAL / "scratch") as directory, engines(directory, durable=False) as running:
        # Every database that the previous tests make is a copy of template1: their own `migrate` finds all that it
        # knows applied, and nothing to do.
        new_schema = local_environment() | running.urls | {"DATABASE_URL": template(running.urls["DATABASE_URL"])}
        run([sys.executable, "manage.py", "migrate", "--noinput", "--verbosity=0"], CHECKOUT, new_schema)
        print(f"The tests of {tag}, on the schema of this checkout:", flush=True)
        tests = [str(previous / ".venv/bin/python"), "-m", "pytest", "-n", "auto", *arguments]
        return subprocess.run(tests, cwd=previous, env=outside() | running.urls).returncode


def previous_tag() -> str | None:
    """The newest tag below HEAD; one that HEAD itself carries is this version's own."""
    shallow = git("rev-parse", "--is-shallow-repository")
    if not shallow:
        raise RunError(f"git does not read {CHECKOUT}, where the previous version is to come from.")
    parent = git("rev-parse", "--quiet", "--verify", "HEAD^")
    tag = git("describe", "--tags", "--abbrev=0", parent) if parent else ""
    if not tag and shallow == "true":
        print("This clone is shallow. Where there are older tags: git fetch --unshallow --tags")
    return tag or None


def checkout_of(tag: str) -> Path:
    """The tag's own checkout with its own requirements; the next run finds both."""
    directory = LOCAL / "previous" / git("rev-parse", f"{tag}^{{commit}}")
    for other in directory.parent.glob("*"):
        if other != directory:
            shutil.rmtree(other)
    if not (directory / "Makefile").exists():
        shutil.rmtree(directory, ignore_errors=True)
        run(["git", "clone", "--quiet", "--no-checkout", str(CHECKOUT), str(directory)], CHECKOUT)
        run(["git", "checkout", "--quiet", "--detach", directory.name], directory)
    run(["make", "--no-print-directory", ".venv", f"PYTHON={sys.executable}"], directory)
    return directory


def template(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/template1"))


def git(*arguments: str) -> str:
    """What git says, or nothing where it fails."""
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() if done.returncode == 0 else ""


def outside() -> dict[str, str]:
    """The environment without what `make` has told this one."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def run(command: list[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=directory, env=outside() | dict(environment or {}))
    if done.returncode:
        raise RunError(f"{' '.join(command)} ended with {done.returncode} in {directory}.")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RunError as error:
        sys.exit(str(error))
