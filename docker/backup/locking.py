"""One at a time: whatever writes, restores or deletes backups holds the lock, in whichever container it runs."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TextIO

from backup.settings import FailedError, Settings

PATIENCE = 60.0  # seconds
held_here = False


@contextmanager
def lock(settings: Settings, action: str, patience: float = PATIENCE) -> Iterator[None]:
    """The kernel lets go of it with the process, however that ends. Within the block it is there for the asking."""
    global held_here
    if held_here:
        yield
        return
    with (settings.backups / ".lock").open("a+", encoding="utf-8") as file:
        wait(file, patience)
        with suppress(OSError):  # where the disk is full, those who wait must do without
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), f"{action}, since {datetime.now(UTC):%H:%M:%S} UTC".encode())
        held_here = True
        try:
            yield
        finally:
            held_here = False


def wait(file: TextIO, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise FailedError(f"another one has been under way for {patience:.0f} s: {holder(file)}") from error
        time.sleep(0.2)


def holder(file: TextIO) -> str:
    file.seek(0)
    return file.read().strip() or "one that has just begun"


def is_free(settings: Settings) -> bool:
    """Nobody holds it at this moment."""
    with (settings.backups / ".lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
