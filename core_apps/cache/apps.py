import logging

from django.apps import AppConfig
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_migrate

from core_apps.cache.client import is_not_circuit_open


class CacheConfig(AppConfig):
    name = "core_apps.cache"

    def ready(self) -> None:
        from core_apps.cache import versioned_cache  # needs the app registry

        logging.getLogger("django_redis.cache").addFilter(is_not_circuit_open)
        request_started.connect(versioned_cache.forget_version)
        request_finished.connect(versioned_cache.forget_version)
        post_migrate.connect(versioned_cache.install_triggers, sender=self)
