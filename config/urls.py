"""The whole URL map. The probes are not in it: core_apps.operations.probes answers them first."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from core_apps.api.documentation import documentation, schema
from customers.media import media

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    # These four names are what the admin's login page looks for to offer «Forgotten your password?».
    path("admin/password_reset/", auth.PasswordResetView.as_view(), name="admin_password_reset"),
    path("admin/password_reset/done/", auth.PasswordResetDoneView.as_view(), name="password_reset_done"),
    path("reset/<uidb64>/<token>/", auth.PasswordResetConfirmView.as_view(), name="password_reset_confirm"),
    path("reset/done/", auth.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("customers.api.urls")),
    path("api/v1/schema/", schema, name="schema"),
    path("api/v1/docs/", documentation, name="documentation"),
    path("language/", set_language, name="set_language"),
    path("media/<path:name>", media, name="media"),
]
