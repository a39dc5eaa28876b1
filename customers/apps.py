from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class CustomersConfig(AppConfig):
    name = "customers"
    verbose_name = _("Customers and exhibitions")


class SiteConfig(AdminConfig):
    """Django's admin with our site as the default."""

    default_site = "customers.admin_site.ExhibitionSite"
