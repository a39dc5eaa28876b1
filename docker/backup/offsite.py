"""Copies elsewhere, by rclone: one is complete and compared when its manifest is there, which is sent last."""

import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from backup import catalogue, manifest, parts, retention
from backup.dump import clear_partials
from backup.errors import FailedError
from backup.lock import lock
from backup.manifest import FILE, NAME, PARTIAL, Manifest
from backup.retention import Entry
from backup.settings import Settings

TIME = re.compile(r"^[\d/]+ [\d:]+ ")
OPTIONS = ("--retries=2", "--low-level-retries=3", "--contimeout=15s", "--timeout=60s", "--cache-dir=/tmp/rclone")


def copy_missing(settings: Settings) -> None:
    """Bring every sound backup there that is not there yet."""
    if settings.remote:
        there = complete(settings)
        for one in catalogue.backups(settings):
            if not one.fault and one.name not in there:
                copy(settings, one.name)


def copy(settings: Settings, name: str) -> None:
    here, there, but_manifest = str(settings.backups / name), place(settings, name), f"--exclude=/{FILE}"
    rclone("copy", but_manifest, here, there)
    _, log = rclone("check", "--one-way", but_manifest, here, there)
    if "hashes could not be checked" in log:
        # The remote has no hashes of its own: only what comes back tells what is there.
        rclone("check", "--one-way", "--download", but_manifest, here, there)
    rclone("copyto", f"{here}/{FILE}", f"{there}/{FILE}")


def place(settings: Settings, name: str) -> str:
    return f"{settings.remote.rstrip('/')}/{name}"


def prune(settings: Settings, now: datetime) -> None:
    """By the same rule as here, over what is there."""
    if not settings.remote:
        return
    finished = complete(settings)
    # One without its manifest is nobody's place, and goes after a week.
    found = [Entry(name, kind_of(settings, name) if name in finished else "incomplete") for name in names(settings)]
    staying = retention.kept(found, now, settings.schedule.zone)
    for name in [entry.name for entry in found if entry.name not in staying]:
        # Its manifest first: without it, it is no backup.
        rclone("delete", f"--include=/{FILE}", place(settings, name))
        rclone("purge", place(settings, name))


def names(settings: Settings) -> list[str]:
    """Of all that are there, oldest first, those without a manifest included."""
    lines = listing("--dirs-only", settings.remote)
    return sorted(name for line in lines if NAME.fullmatch(name := line.strip().rstrip("/")))


def complete(settings: Settings) -> list[str]:
    """Those that are there with their manifest, oldest first."""
    lines = listing("--files-only", "--recursive", "--max-depth=2", f"--include=/*/{FILE}", settings.remote)
    return sorted(name for line in lines if NAME.fullmatch(name := line.partition("/")[0]))


def listing(*arguments: str) -> list[str]:
    try:
        return rclone("lsf", *arguments)[0].splitlines()
    except FailedError as error:
        if "directory not found" in str(error):  # before the first copy
            return []
        raise


def kind_of(settings: Settings, name: str) -> str:
    try:
        if (settings.backups / name).exists():
            return manifest.read(settings.backups / name).kind
        return Manifest.from_text(rclone("cat", f"{place(settings, name)}/{FILE}")[0]).kind
    except (FailedError, ValueError):
        return "?"


def command(settings: Settings, name: str) -> None:
    """Bring a copy back; nothing where the backup is here. It has its name when it has been verified."""
    if not NAME.fullmatch(name):
        raise FailedError(f"{name!r} is not the name of a backup, such as 20261122T023000Z")
    if not (settings.backups / name).exists():
        if not settings.remote:
            raise FailedError(f"there is no backup {name} here, and BACKUP_REMOTE names no other place")
        with lock(settings, f"fetching {name}"):
            clear_partials(settings.backups)
            fetch(settings, name, settings.backups / f"{PARTIAL}{name}" / name)
    print(f"Backup {name} is here.")


def fetch(settings: Settings, name: str, directory: Path) -> None:
    try:
        try:
            rclone("copy", place(settings, name), str(directory))
        except FailedError as error:
            raise FailedError(f"{name} is not here, and cannot be fetched from {settings.remote}: {error}") from error
        if not directory.exists():
            raise FailedError(f"there is no backup {name}, neither here nor at {settings.remote}")
        parts.verify(directory)
        directory.rename(settings.backups / name)
    finally:
        shutil.rmtree(directory.parent, ignore_errors=True)


def rclone(*arguments: str) -> tuple[str, str]:
    """Return its output and its log. Raise FailedError, with the line that tells why not."""
    command = ["rclone", *OPTIONS, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise FailedError(f"rclone: {TIME.sub('', lines[-1])}")
    return done.stdout, done.stderr
