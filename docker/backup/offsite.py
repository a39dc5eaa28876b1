"""Copies elsewhere, by rclone: complete when their manifest is there, which is sent last."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backup import catalogue, manifest, parts, retention
from backup.catalogue import read_note, write_note
from backup.locking import lock
from backup.manifest import NAME, Manifest
from backup.retention import Entry
from backup.settings import FailedError, Settings
from backup.taking import PARTIAL, clear_partials, in_one_line, sync

# What is known of copies, by name: their kind, and when they were compared with the backup here.
NOTE = "offsite.json"
TIME = re.compile(r"^[\d/]+ [\d:]+ ")
OPTIONS = ("--retries=2", "--low-level-retries=3", "--contimeout=15s", "--timeout=60s", "--cache-dir=/tmp/rclone")


def copy_missing(settings: Settings) -> list[str]:
    """Bring every sound backup there that is not there yet; each is compared afterwards."""
    if not settings.remote:
        return []
    known = read_note(settings, NOTE)
    missing = [one for one in catalogue.backups(settings) if not one.fault and one.name not in known]
    for one in missing:
        copy(settings, one.name)
        write_note(settings, NOTE, read_note(settings, NOTE) | {one.name: {"kind": one.kind, "compared": now()}})
    return [one.name for one in missing]


def copy(settings: Settings, name: str) -> None:
    here, there = settings.backups / name, f"{settings.remote.rstrip('/')}/{name}"
    rclone("copy", f"--exclude=/{manifest.FILE}", str(here), there)
    rclone("copyto", str(here / manifest.FILE), f"{there}/{manifest.FILE}")
    said = rclone("check", "--one-way", str(here), there)
    if "hashes could not be checked" in said.log:
        # The remote has no hashes of its own: only what comes back tells what is there.
        rclone("check", "--one-way", "--download", str(here), there)


def prune(settings: Settings, now: datetime) -> list[str]:
    """By the same rule as here, over what is there; copies of other backups than these are left alone."""
    if not settings.remote:
        return []
    noted = read_note(settings, NOTE)
    known = {name: noted.get(name) or {"kind": kind_of(settings, name), "compared": ""} for name in names(settings)}
    found = [Entry(name, facts["kind"]) for name, facts in known.items()]
    staying = retention.kept(found, now, settings.schedule.zone)
    going = [entry.name for entry in found if entry.name not in staying]
    for name in going:
        remove(settings, name)
        del known[name]
    write_note(settings, NOTE, known)
    return going


def remove(settings: Settings, name: str) -> None:
    """Its manifest first: without it, it is no backup."""
    there = f"{settings.remote.rstrip('/')}/{name}"
    rclone("delete", f"--include=/{manifest.FILE}", there)
    rclone("purge", there)


def names(settings: Settings) -> list[str]:
    """Of all that are there, oldest first, those without a manifest included."""
    said = rclone("lsf", "--dirs-only", settings.remote).output
    return sorted(name for line in said.splitlines() if NAME.fullmatch(name := line.strip().rstrip("/")))


def kind_of(settings: Settings, name: str) -> str:
    try:
        text = rclone("cat", f"{settings.remote.rstrip('/')}/{name}/{manifest.FILE}").output
        return Manifest.from_text(text).kind
    except (FailedError, ValueError):
        return "incomplete"  # never more than a week old


def fetch(settings: Settings, name: str) -> None:
    """Bring a copy back; nothing where the backup is here. It has its name when it has been verified."""
    if (settings.backups / name).exists():
        return
    if not settings.remote:
        raise FailedError(f"there is no backup {name} here, and BACKUP_REMOTE names no other place")
    if not NAME.fullmatch(name):
        raise FailedError(f"{name!r} is not the name of a backup, such as 20261122T023000Z")
    with lock(settings, f"fetching {name}"), in_one_line():
        clear_partials(settings.backups)
        bring(settings, name, settings.backups / f"{PARTIAL}{name}" / name)


def bring(settings: Settings, name: str, directory: Path) -> None:
    try:
        try:
            rclone("copy", f"{settings.remote.rstrip('/')}/{name}", str(directory))
        except FailedError as error:
            raise FailedError(f"{name} is not here, and cannot be fetched from {settings.remote}: {error}") from error
        if not directory.exists():
            raise FailedError(f"there is no backup {name}, neither here nor at {settings.remote}")
        found = parts.verify(directory)
        for written in (*directory.iterdir(), directory):
            sync(written)
        directory.rename(settings.backups / name)
        sync(settings.backups)
        write_note(settings, NOTE, read_note(settings, NOTE) | {name: {"kind": found.kind, "compared": now()}})
    finally:
        shutil.rmtree(directory.parent, ignore_errors=True)


def command(settings: Settings, name: str) -> None:
    fetch(settings, name)
    print(f"Backup {name} is here.")


@dataclass(frozen=True)
class Said:
    output: str
    log: str


def rclone(*arguments: str) -> Said:
    """Raises FailedError, with the line that tells why not."""
    command = ["rclone", *OPTIONS, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise FailedError(f"rclone: {TIME.sub('', lines[-1])}")
    return Said(done.stdout, done.stderr)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
