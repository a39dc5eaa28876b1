from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class TasksConfig(AppConfig):
    name = "core_apps.tasks"
    verbose_name = _("Background tasks")

    def ready(self) -> None:
        autodiscover_modules("background")
