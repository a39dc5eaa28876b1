from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class CustomersConfig(AppConfig):
    name = "customers"


class SiteConfig(AdminConfig):
    """Django's admin, with our site in the place of its own."""

    default_site = "customers.admin_site.ExhibitionSite"
