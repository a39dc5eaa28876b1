"""All URLs except the probes, which core_apps.operations.probes answers."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.http import Http404
from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.defaults import page_not_found
from django.views.generic import RedirectView
from django.views.i18n import set_language

from core_apps.accounts.password_reset import PasswordResetView
from core_apps.api.documentation import documentation, schema
from core_apps.messaging.unsubscribe import unsubscribe
from core_apps.messaging.whatsapp_events import whatsapp
from customers.calendar import calendar_feed
from customers.media import media

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    # The admin's login page offers a password reset if these four names exist.
    path("admin/password_reset/", PasswordResetView.as_view(), name="admin_password_reset"),
    path("admin/password_reset/done/", auth.PasswordResetDoneView.as_view(), name="password_reset_done"),
    path(
        "reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(extra_context={"button": _("Change my password")}),
        name="password_reset_confirm",
    ),
    path("reset/done/", auth.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
    path("anymail/", include("anymail.urls")),
    path("whatsapp/", whatsapp, name="whatsapp"),
    path("unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("customers.api.urls")),
    path("api/v1/schema/", schema, name="schema"),
    path("api/v1/docs/", documentation, name="documentation"),
    path("calendar/<slug:key>.ics", calendar_feed, name="calendar_feed"),
    path("language/", set_language, name="set_language"),
    path("media/<path:name>", media, name="media"),
    # During an update, a CDN may ask a server that does not have the new files yet.
    re_path("^static/", never_cache(page_not_found), {"exception": Http404()}),
]
