"""What there is, and whether all is well."""

from backup.settings import Settings


def check_health(settings: Settings) -> None: ...
