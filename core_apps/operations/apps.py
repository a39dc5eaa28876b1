from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "core_apps.operations"
