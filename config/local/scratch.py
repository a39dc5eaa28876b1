"""Directories that live as long as the process that uses them."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.local.engines import stop_unless_used


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A new directory in `parent`; those that a killed process left there are cleared away first.

    A directory is in use while somebody holds the lock on its file `users`, as `engines` does too.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a directory that is being made is not yet locked
        for left in parent.glob("*/"):
            remove_unless_used(left)
        directory = Path(tempfile.mkdtemp(dir=parent))
        users = (directory / "users").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(lock, fcntl.LOCK_UN)
    try:
        yield directory
    finally:
        users.close()
        remove_unless_used(directory)


def remove_unless_used(directory: Path) -> None:
    with (directory / "users").open("a") as users:
        if stop_unless_used(directory, users.fileno()):
            shutil.rmtree(directory, ignore_errors=True)
