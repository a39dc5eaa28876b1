from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "core_apps.accounts"
