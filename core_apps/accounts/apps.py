from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "core_apps.accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from core_apps.accounts.sessions import start_session

        user_logged_in.connect(start_session)
