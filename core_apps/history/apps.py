from django.apps import AppConfig
from django.db.backends.signals import connection_created

from core_apps.history.cause import add_wrapper


class HistoryConfig(AppConfig):
    name = "core_apps.history"

    def ready(self) -> None:
        connection_created.connect(add_wrapper)
