from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils.module_loading import import_string
from django_redis import get_redis_connection


class Command(BaseCommand):
    help = "Connects to PostgreSQL, the cache, the broker and the bucket, and names the setting of each that fails."

    def handle(self, *args: Any, **options: Any) -> None:
        servers: dict[str, Callable[[], object]] = {
            "DATABASE_URL": connection.ensure_connection,
            "REDIS_URL": lambda: get_redis_connection().ping(),
            "BROKER_URL": connect_to_broker,
        }
        if settings.MEDIA_BUCKET:
            servers["MEDIA_BUCKET"] = default_storage.check  # type: ignore[attr-defined]
        errors = [f"{setting}: {error}" for setting, connect in servers.items() if (error := try_to(connect))]
        if errors:
            raise CommandError("\n".join(errors))
        self.stdout.write(f"{', '.join(servers)} can be reached.")


def connect_to_broker() -> None:
    with import_string(settings.CELERY_APP).connection_for_write() as broker:
        broker.default_channel.client.ping()


def try_to(connect: Callable[[], object]) -> str:
    """Return the reason of a failure on one line, or a blank string."""
    try:
        connect()
    except Exception as error:  # each client has errors of its own
        return " ".join(str(error).split())
    return ""
