from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "core_apps.messaging"
    verbose_name = _("Messages")

    def ready(self) -> None:
        from core_apps.messaging import campaigns, mail_events  # noqa: F401 - declare tasks and receivers
