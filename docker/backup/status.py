"""What there is, and whether all is well: for the engine, and for a person."""

from datetime import UTC, datetime, timedelta

from backup import catalogue, drilling, manifest, offsite, parts, reporting, runs, wal
from backup.catalogue import Backup, read_note, write_note
from backup.settings import FailedError, Settings

# A day, and two hours for a run that takes long or was tried again.
OLDEST = timedelta(hours=26)
FIRST_START = "first_start.json"
COLUMNS = "{:16}  {:9}  {:>10}  {:>9}  {:8}  {:9}  {:8}"


def check_health(settings: Settings) -> None:
    """Raises FailedError, with every reason why this container is not healthy."""
    if found := faults(settings, datetime.now(UTC)):
        raise FailedError("; ".join(found))


def faults(settings: Settings, now: datetime) -> list[str]:
    """What a person must be woken for."""
    return [*age_faults(settings, now), *wal.faults(settings)]


def age_faults(settings: Settings, now: datetime) -> list[str]:
    newest = catalogue.newest_sound(settings)
    since = newest.taken if newest else first_start(settings)
    if since and now - since <= OLDEST:
        return []
    limit = f"more than {OLDEST.total_seconds() / 3600:.0f} hours"
    if newest:
        return [f"the newest verified backup, {newest.name}, is {duration(now - newest.taken)} old: {limit}"]
    return [f"there is no verified backup, and the first start was {limit} ago"]


def note_first_start(settings: Settings) -> None:
    if not first_start(settings):
        write_note(settings, FIRST_START, {"time": datetime.now(UTC).isoformat()})


def first_start(settings: Settings) -> datetime | None:
    noted = read_note(settings, FIRST_START).get("time")
    return datetime.fromisoformat(noted) if noted else None


def show_status(settings: Settings) -> None:
    """The lines of `make prod-status`."""
    now = datetime.now(UTC)
    newest, following = catalogue.newest_sound(settings), settings.schedule.next(now)
    told = described(settings, newest, now) if newest else "there is none yet"
    print(f"backup       {told}; next {following.astimezone(settings.schedule.zone):%Y-%m-%d %H:%M %Z}")
    for line in wal.status(settings):
        print(line)
    print(f"drill        {drilled(settings, now)}")
    for warning in [*faults(settings, now), *failures(settings), *damages(settings)]:
        print(f"WARNING      {warning}")


def described(settings: Settings, backup: Backup, now: datetime) -> str:
    said = [f"newest {backup.name}", f"{duration(now - backup.taken)} old", "verified"]
    if backup.manifest:
        said += [size(backup.manifest.size), "encrypted" if backup.manifest.encrypted_to else "not encrypted"]
    if settings.remote:
        said.append("off-site too" if backup.name in read_note(settings, offsite.NOTE) else "not off-site yet")
    return ", ".join(said)


def drilled(settings: Settings, now: datetime) -> str:
    """What is known of restoring, and what a person has to do for it."""
    drill, newest = drilling.last(settings), catalogue.newest_sound(settings)
    told = f"{duration(now - datetime.fromisoformat(drill.time))} ago: {drill.text}" if drill else "there was none yet"
    by_hand = newest and newest.manifest and newest.manifest.encrypted_to
    if by_hand and drilling.is_due(settings, now, first_start(settings)):
        told += "; backups are encrypted: make prod-restore-drill IDENTITY=file of the key"
    return told


def failures(settings: Settings) -> list[str]:
    return [
        f"the last {run.kind} backup failed at {run.finished:%Y-%m-%d %H:%M} UTC: {run.outcome}"
        for run in runs.last_runs(settings)
        if run.has_failed
    ]


def damages(settings: Settings) -> list[str]:
    return [f"backup {one.name} is damaged: {one.fault}" for one in catalogue.backups(settings) if one.fault]


def show_backups(settings: Settings) -> None:
    """The table of `make prod-backups`, newest first."""
    now, copies = datetime.now(UTC), off_site(settings)
    here = {one.name: one for one in catalogue.backups(settings)}
    print(COLUMNS.format("backup", "kind", "age", "size", "verified", "encrypted", "off-site"))
    for name in sorted(here.keys() | copies.keys(), reverse=True):
        age = duration(now - catalogue.moment(name))
        kind, *facts = columns(here[name]) if name in here else (copies[name], "?", "not here", "?")
        print(COLUMNS.format(name, kind, age, *facts, "yes" if name in copies else "no"))
    for warning in damages(settings):
        print(f"WARNING      {warning}")


def columns(backup: Backup) -> tuple[str, str, str, str]:
    """Kind, size, whether it was verified, whether it is encrypted."""
    found, verified = backup.manifest, "no" if backup.fault else "yes"
    if not found:
        return backup.kind, "?", verified, "?"
    return backup.kind, size(found.size), verified, "yes" if found.encrypted_to else "no"


def off_site(settings: Settings) -> dict[str, str]:
    """The kind of each copy elsewhere, by name."""
    noted = {name: str(facts["kind"]) for name, facts in read_note(settings, offsite.NOTE).items()}
    if not settings.remote:
        return {}
    try:
        return {name: noted.get(name, "?") for name in offsite.names(settings)}
    except FailedError as error:
        print(f"WARNING      {settings.remote} was not asked, and what is noted of it is shown: {error}")
        return noted


def verify(settings: Settings, *wanted: str) -> None:
    """Every byte of these backups, or of all, against their manifests: `verify [NAME…]`."""
    damaged = []
    for name in wanted or manifest.names(settings.backups):
        try:
            parts.verify(settings.backups / name)
        except FailedError as error:
            damaged.append(str(error))
            catalogue.note_fault(settings, name, catalogue.without_name(error))
            reporting.failed(settings, "verification", str(error), name=name)
        else:
            catalogue.note_fault(settings, name, "")
            print(f"{name} is as it was taken.")
    if damaged:
        raise FailedError("; ".join(damaged))


def size(count: float) -> str:
    """Of so many bytes, in the largest unit of which there is one."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(length: timedelta) -> str:
    """In the largest unit of which there are two."""
    seconds = length.total_seconds()
    for unit, long in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if round(seconds) >= 2 * long:
            return f"{seconds / long:.0f} {unit}"
    return f"{seconds:.0f} seconds"
