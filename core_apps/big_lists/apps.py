from django.apps import AppConfig


class BigListsConfig(AppConfig):
    name = "core_apps.big_lists"
