from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "core_apps.api"
