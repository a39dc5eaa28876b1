from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_migrate


class CommonConfig(AppConfig):
    name = "core_apps.common"

    def ready(self) -> None:
        from core_apps.common import versioned_cache  # it needs the models

        request_started.connect(versioned_cache.forget_version)
        request_finished.connect(versioned_cache.forget_version)
        post_migrate.connect(versioned_cache.install_triggers, sender=self)
