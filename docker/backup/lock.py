"""One at a time: whatever writes, restores or deletes backups holds the lock, in whichever container it runs."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TextIO

from backup.errors import FailedError
from backup.settings import Settings


@contextmanager
def lock(settings: Settings, action: str, patience: float = 60) -> Iterator[None]:
    """Wait for it so many seconds. The kernel lets go of it with the process, however that ends."""
    with (settings.backups / ".lock").open("a+", encoding="utf-8") as file:
        wait(file, patience)
        with suppress(OSError):  # where the disk is full, those who wait must do without
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), f"{action}, since {datetime.now(UTC):%H:%M:%S} UTC".encode())
        yield


def wait(file: TextIO, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.seek(0)
                holder = file.read().strip() or "one that has just begun"
                raise FailedError(f"another one has been under way for {patience:.0f} s: {holder}") from error
        time.sleep(0.2)


def is_free(settings: Settings) -> bool:
    """Whether nobody holds it at this moment."""
    try:
        with lock(settings, "a look", 0):
            return True
    except FailedError:
        return False
