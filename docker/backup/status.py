"""The health check, and the tables for `make prod-status` and `make prod-backups`."""

from datetime import UTC, datetime, timedelta

from backup import catalogue, drill, offsite, pitr, runs
from backup.catalogue import Backup
from backup.errors import BackupError
from backup.settings import Settings
from backup.text import duration, size

# A day, plus two hours for a slow or repeated run.
OLDEST = timedelta(hours=26)
COLUMNS = "{:16}  {:9}  {:>10}  {:>9}  {:8}  {:9}  {:8}"


def check_health(settings: Settings) -> None:
    """Raise BackupError if this container is unhealthy."""
    if fault := age_fault(settings, datetime.now(UTC)):
        raise BackupError(fault)


def age_fault(settings: Settings, now: datetime) -> str:
    """Why the newest backup is too old, or an empty string."""
    newest = catalogue.find_newest_intact(settings)
    since = newest.taken if newest else runs.first_start(settings)
    if since and now - since <= OLDEST:
        return ""
    limit = f"more than {OLDEST.total_seconds() / 3600:.0f} hours"
    if newest:
        return f"the newest verified backup, {newest.name}, is {age(newest.taken, now)} old: {limit}"
    return f"there is no verified backup, and the first start was {limit} ago"


def age(moment: datetime, now: datetime) -> str:
    return duration((now - moment).total_seconds())


def show_status(settings: Settings) -> None:
    """Print the lines of `make prod-status`."""
    now = datetime.now(UTC)
    newest, following = catalogue.find_newest_intact(settings), settings.schedule.next(now)
    described = describe(newest, now) if newest else "none yet"
    print(f"backup       {described}; next {following.astimezone(settings.schedule.zone):%Y-%m-%d %H:%M %Z}")
    for line in pitr.describe_ranges(settings):
        print(f"moments      {line}")
    print(f"drill        {describe_drill(settings, newest, now)}")
    warnings = [age_fault(settings, now), *failures(settings), *damages(settings), *lag(settings, newest)]
    for warning in filter(None, warnings):
        print(f"WARNING      {warning}")


def describe(backup: Backup, now: datetime) -> str:
    facts = [f"newest {backup.name}", f"{age(backup.taken, now)} old", "verified"]
    if backup.manifest:
        facts += [size(backup.manifest.size), "encrypted" if backup.encrypted_to else "not encrypted"]
    return ", ".join(facts)


def describe_drill(settings: Settings, newest: Backup | None, now: datetime) -> str:
    """The last drill, and what a person has to do for the next one."""
    last = drill.last_drill(settings)
    text = f"{age(datetime.fromisoformat(last.time), now)} ago: {last.text}" if last else "none yet"
    if newest and newest.encrypted_to and drill.is_due(settings, now):
        text += "; backups are encrypted, so restore-drill needs IDENTITY=file of the key"
    return text


def failures(settings: Settings) -> list[str]:
    return [
        f"the last {run.kind} backup failed at {run.finished:%Y-%m-%d %H:%M} UTC: {run.outcome}"
        for run in runs.last_runs(settings).values()
        if run.has_failed
    ]


def damages(settings: Settings) -> list[str]:
    return [f"backup {one.name} is damaged: {one.fault}" for one in catalogue.backups(settings) if one.fault]


def lag(settings: Settings, newest: Backup | None) -> list[str]:
    """Warnings about a missing off-site copy of the newest backup."""
    there, warnings = copies(settings)
    if settings.remote and newest and not warnings and newest.name not in there:
        return [f"backup {newest.name} is not off-site yet"]
    return warnings


def show_backups(settings: Settings) -> None:
    """Print the table of `make prod-backups`, newest first."""
    now, here = datetime.now(UTC), {one.name: one for one in catalogue.backups(settings)}
    there, warnings = copies(settings)
    print(COLUMNS.format("backup", "kind", "age", "size", "verified", "encrypted", "off-site"))
    for name in sorted({*here, *there}, reverse=True):
        facts = columns(here[name]) if name in here else (offsite.kind_of(settings, name), "?", "not here", "?")
        kind, *others = facts
        print(
            COLUMNS.format(name, kind, age(catalogue.parse_name(name), now), *others, "yes" if name in there else "no")
        )
    for warning in [*damages(settings), *warnings]:
        print(f"WARNING      {warning}")


def columns(backup: Backup) -> tuple[str, str, str, str]:
    """The columns kind, size, verified and encrypted."""
    found, verified = backup.manifest, "no" if backup.fault else "yes"
    if not found:
        return backup.kind, "?", verified, "?"
    return backup.kind, size(found.size), verified, "yes" if found.encrypted_to else "no"


def copies(settings: Settings) -> tuple[list[str], list[str]]:
    """The names of off-site copies, and a warning if they cannot be listed."""
    try:
        return (offsite.list_complete(settings) if settings.remote else []), []
    except BackupError as error:
        return [], [f"{settings.remote} cannot be listed: {error}"]
