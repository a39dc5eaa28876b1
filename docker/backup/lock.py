"""The lock of everything that writes, restores or deletes backups, across containers."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TextIO

from backup.errors import BackupError
from backup.settings import Settings


@contextmanager
def lock(settings: Settings, action: str, timeout: float = 60) -> Iterator[None]:
    """Wait up to `timeout` seconds. The kernel releases it when the process ends, however that happens."""
    with (settings.backups / ".lock").open("a+", encoding="utf-8") as file:
        wait(file, timeout)
        with suppress(OSError):  # a full disk: others then see no holder
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), f"{action}, since {datetime.now(UTC):%H:%M:%S} UTC".encode())
        yield


def wait(file: TextIO, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.seek(0)
                holder = file.read().strip() or "just started"
                raise BackupError(
                    f"gave up after {timeout:.0f} s, another operation is in progress: {holder}"
                ) from error
        time.sleep(0.2)


def is_free(settings: Settings) -> bool:
    """Whether the lock is free at this moment."""
    try:
        with lock(settings, "a check", 0):
            return True
    except BackupError:
        return False
