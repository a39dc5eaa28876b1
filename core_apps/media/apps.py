from django.apps import AppConfig


class MediaConfig(AppConfig):
    name = "core_apps.media"
