"""Django's own ModelAdmin on the same tables and with the same columns, filters and actions, at /stock/."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.urls import path

from config import urls
from core_apps.accounts.models import User
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit

site = admin.AdminSite("stock")

PERSON = ("given_name", "family_name", "email", "phone", "company__name")
SEARCH: dict[type[Model], tuple[str, ...]] = {
    Company: ("name", "domain"),
    Customer: PERSON,
    Exhibition: ("name", "edition", "city", "venue"),
    FollowUp: tuple(f"customer__{name}" for name in PERSON),
    Tag: ("name",),
    User: ("email", "name"),
    Visit: tuple(f"customer__{name}" for name in PERSON),
}
# A <select> of every customer takes minutes and gigabytes; that of every company is measured.
RAW: dict[type[Model], tuple[str, ...]] = {FollowUp: ("customer", "visit"), Visit: ("customer",)}


def is_field(model: type[Model], name: Any) -> bool:
    try:
        return isinstance(name, str) and bool(model._meta.get_field(name))
    except FieldDoesNotExist:
        return False


def column(ours: Any, model: type[Model], name: str) -> str:
    """Return the field that our column sorts by, or __str__."""
    return name if is_field(model, name) else getattr(getattr(ours, name, None), "admin_order_field", "__str__")


def register_twins() -> None:
    for model, search_fields in SEARCH.items():
        ours = admin.site.get_model_admin(model)
        names = (column(ours, model, getattr(name, "__name__", name)) for name in ours.list_display)
        options = {
            "list_display": list(dict.fromkeys(names)),
            "list_filter": [name for name in ours.list_filter if is_field(model, name)],
            "list_select_related": ours.list_select_related,
            "list_per_page": 50,
            "search_fields": search_fields,
            "change_form_template": "admin/change_form.html",  # ours calls views of our admin
            "change_list_template": "admin/change_list.html",
            "raw_id_fields": RAW.get(model, ()),
        }
        site.register(model, type(f"Stock{model.__name__}", (admin.ModelAdmin,), options))


register_twins()
urlpatterns = [*urls.urlpatterns, path("stock/", site.urls)]
