from django.apps import AppConfig
from django.core import checks


class BigListsConfig(AppConfig):
    name = "core_apps.big_lists"

    def ready(self) -> None:
        from core_apps.big_lists.checks import check_admin  # needs the models

        checks.register(check_admin, checks.Tags.models)
