"""What Prometheus should know of the backups, in a file that node_exporter reads."""

from contextlib import suppress

from backup import catalogue, drill, runs
from backup.settings import Settings


def write(settings: Settings) -> None:
    """Replace the file; on a full disk the former one stays, and the disk has an alert of its own."""
    partial = settings.metrics / "backup.partial"
    with suppress(OSError):
        partial.write_text("".join(f"{name} {value}\n" for name, value in collect(settings).items()), encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(settings.metrics / "backup.prom")


def collect(settings: Settings) -> dict[str, float]:
    newest, last_drill = catalogue.find_newest_intact(settings), drill.last_drill(settings)
    since = newest.taken if newest else runs.first_start(settings)
    failed = {f'backup_failed{{kind="{run.kind}"}}': float(run.has_failed) for run in runs.last_runs(settings).values()}
    return failed | {
        # Without a backup, the first start of the service
        "backup_newest_timestamp_seconds": since.timestamp() if since else 0.0,
        "backup_drill_failed": float(bool(last_drill and last_drill.reason)),
    }
