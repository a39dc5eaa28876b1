from django.apps import AppConfig
from psycopg2 import extensions

from core_apps.common import database


class CommonConfig(AppConfig):
    name = "core_apps.common"

    def ready(self) -> None:
        extensions.set_wait_callback(database.wait)
