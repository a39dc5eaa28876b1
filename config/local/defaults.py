"""Defaults of a local run, for settings that are not set."""

import os
from collections.abc import Mapping
from pathlib import Path

import decouple

from config.local.secret_files import get_or_create_secret

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"


def is_set(name: str) -> bool:
    """Return whether the variable, or NAME_FILE, is set in the environment or in .env."""
    dotenv = CHECKOUT / ".env"
    file = decouple.RepositoryEnv(dotenv).data if dotenv.is_file() else {}
    return any(os.environ.get(key) or file.get(key) for key in (name, f"{name}_FILE"))


def build_local_environment() -> dict[str, str]:
    """Return settings for a laptop, which has no TLS, no mail server and none of a container's directories."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": get_or_create_secret(LOCAL / "secret_key"),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "HTTPS": "false",
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
        "STATIC_ROOT": str(LOCAL / "static"),
        "MEDIA_ROOT": str(LOCAL / "media"),
    }


def set_defaults(environment: Mapping[str, str]) -> None:
    os.environ.update({name: value for name, value in environment.items() if not is_set(name)})
