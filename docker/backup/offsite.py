"""Off-site copies by rclone. The manifest is sent last: a copy that has one is complete and compared."""

import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from backup import catalogue, manifest, parts, retention
from backup.dump import clear_partials
from backup.errors import BackupError
from backup.lock import lock
from backup.manifest import FILE, NAME, PARTIAL, Manifest
from backup.retention import Candidate
from backup.settings import Settings

TIME = re.compile(r"^[\d/]+ [\d:]+ ")
OPTIONS = ("--retries=2", "--low-level-retries=3", "--contimeout=15s", "--timeout=60s", "--cache-dir=/tmp/rclone")


def copy_missing(settings: Settings) -> None:
    """Copy every sound backup that has no off-site copy yet."""
    if settings.remote:
        there = list_complete(settings)
        for one in catalogue.backups(settings):
            if not one.fault and one.name not in there:
                copy(settings, one.name)


def copy(settings: Settings, name: str) -> None:
    here, there, but_manifest = str(settings.backups / name), remote_path(settings, name), f"--exclude=/{FILE}"
    rclone("copy", but_manifest, here, there)
    _, log = rclone("check", "--one-way", but_manifest, here, there)
    if "hashes could not be checked" in log:
        # The remote provides no hashes: compare by downloading.
        rclone("check", "--one-way", "--download", but_manifest, here, there)
    rclone("copyto", f"{here}/{FILE}", f"{there}/{FILE}")


def remote_path(settings: Settings, name: str) -> str:
    return f"{settings.remote.rstrip('/')}/{name}"


def prune(settings: Settings, now: datetime) -> None:
    """Apply the retention rule to the copies."""
    if not settings.remote:
        return
    finished = list_complete(settings)
    # A copy without a manifest counts for no period, and is deleted after a week.
    found = [Candidate(name, kind_of(settings, name) if name in finished else "incomplete") for name in names(settings)]
    kept_names = retention.select_kept(found, now, settings.schedule.zone)
    for name in [entry.name for entry in found if entry.name not in kept_names]:
        # Its manifest first: without one, it does not count as a backup.
        rclone("delete", f"--include=/{FILE}", remote_path(settings, name))
        rclone("purge", remote_path(settings, name))


def names(settings: Settings) -> list[str]:
    """The names of all copies, oldest first, including those without a manifest."""
    lines = list_remote("--dirs-only", settings.remote)
    return sorted(name for line in lines if NAME.fullmatch(name := line.strip().rstrip("/")))


def list_complete(settings: Settings) -> list[str]:
    """The names of copies with a manifest, oldest first."""
    lines = list_remote("--files-only", "--recursive", "--max-depth=2", f"--include=/*/{FILE}", settings.remote)
    return sorted(name for line in lines if NAME.fullmatch(name := line.partition("/")[0]))


def list_remote(*arguments: str) -> list[str]:
    try:
        return rclone("lsf", *arguments)[0].splitlines()
    except BackupError as error:
        if "directory not found" in str(error):  # before the first copy
            return []
        raise


def kind_of(settings: Settings, name: str) -> str:
    try:
        if (settings.backups / name).exists():
            return manifest.read(settings.backups / name).kind
        return Manifest.from_text(rclone("cat", f"{remote_path(settings, name)}/{FILE}")[0]).kind
    except (BackupError, ValueError):
        return "?"


def command(settings: Settings, name: str) -> None:
    """Fetch an off-site copy unless the backup is here; it gets its name only after verification."""
    if not NAME.fullmatch(name):
        raise BackupError(f"{name!r} is not a backup name such as 20261122T023000Z")
    if not (settings.backups / name).exists():
        if not settings.remote:
            raise BackupError(f"there is no backup {name} here, and BACKUP_REMOTE is not set")
        with lock(settings, f"fetching {name}"):
            clear_partials(settings.backups)
            fetch(settings, name, settings.backups / f"{PARTIAL}{name}" / name)
    print(f"Backup {name} is here.")


def fetch(settings: Settings, name: str, directory: Path) -> None:
    try:
        try:
            rclone("copy", remote_path(settings, name), str(directory))
        except BackupError as error:
            raise BackupError(f"{name} is not here, and cannot be fetched from {settings.remote}: {error}") from error
        if not directory.exists():
            raise BackupError(f"there is no backup {name}, neither here nor at {settings.remote}")
        parts.verify(directory)
        directory.rename(settings.backups / name)
    finally:
        shutil.rmtree(directory.parent, ignore_errors=True)


def rclone(*arguments: str) -> tuple[str, str]:
    """Return its stdout and its log; raise BackupError with the last line of the log."""
    command = ["rclone", *OPTIONS, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackupError(f"rclone: {TIME.sub('', lines[-1])}")
    return done.stdout, done.stderr
