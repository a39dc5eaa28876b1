from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "core_apps.common"
