"""The WhatsApp Cloud API for development: accepts messages, shows them on a page, and sends statuses back.

    DEBUG=true REDIS_URL=redis://127.0.0.1:6379/0 gunicorn mock.app --bind 127.0.0.1:8001 --workers 1 --threads 8

One process: what it limits is counted under a lock. Its state is in Redis, and expires.
"""

import os
import secrets
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

if os.environ.get("DEBUG", "").lower() not in ("true", "1", "yes", "on"):
    raise SystemExit("The mock of WhatsApp is for development: it starts with DEBUG=true only.")

settings.configure(
    DEBUG=True,
    SECRET_KEY=secrets.token_urlsafe(),
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "[::1]", "mock"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).parent / "templates"],
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup(set_prefix=False)

from mock import api, page  # noqa: E402 - their modules need the settings

urlpatterns = [
    path("", page.phones),
    path("reset", page.reset),
    path("settings", page.change_settings),
    path("templates", page.add_template),
    path("phones/<str:phone>", page.write),
    path("messages/<str:wamid>", page.report_status),
    path("health", page.health),
    path("<str:version>/<str:phone_number_id>/messages", api.messages),
]
application = get_wsgi_application()
