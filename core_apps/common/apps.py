from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db.backends.signals import connection_created


class CommonConfig(AppConfig):
    name = "core_apps.common"

    def ready(self) -> None:
        from core_apps.common.versioned_cache import memory, writing  # they need the models

        connection_created.connect(writing.install)
        request_started.connect(memory.begin_request)
        request_finished.connect(memory.end_request)
