from django.apps import AppConfig
from django.core import checks


class ApiConfig(AppConfig):
    name = "core_apps.api"

    def ready(self) -> None:
        from core_apps.api.views import check_resources  # needs the models

        checks.register(check_resources, checks.Tags.security)
