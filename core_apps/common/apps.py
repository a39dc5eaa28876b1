from django.apps import AppConfig
from django.core import checks


class CommonConfig(AppConfig):
    name = "core_apps.common"

    def ready(self) -> None:
        from core_apps.common.time_zones import check_time_zones
        from core_apps.common.visibility import check_admin  # needs the models

        checks.register(check_admin, checks.Tags.security)
        checks.register(check_time_zones, checks.Tags.database)
