from django.apps import AppConfig
from django.db.backends.signals import connection_created
from psycopg2 import extensions

from core_apps.common import database


class CommonConfig(AppConfig):
    name = "core_apps.common"

    def ready(self) -> None:
        from core_apps.common.versioned_cache import writing  # it needs the models

        extensions.set_wait_callback(database.wait)
        connection_created.connect(writing.install)
