"""The environment of a local run: what a person has not set themselves."""

import os
from collections.abc import Mapping
from pathlib import Path

import decouple

from config.local.secret_files import kept_secret

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"


def given(name: str) -> bool:
    """Whether the person set the variable, in the environment or in .env, itself or as NAME_FILE."""
    dotenv = CHECKOUT / ".env"
    file = decouple.RepositoryEnv(dotenv).data if dotenv.is_file() else {}
    return any(os.environ.get(key) or file.get(key) for key in (name, f"{name}_FILE"))


def local_environment() -> dict[str, str]:
    """Settings for a laptop where production's would not do: no TLS, no mail server, no container's paths."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": kept_secret(LOCAL / "secret_key"),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "HTTPS": "false",
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
        "STATIC_ROOT": str(LOCAL / "static"),
        "MEDIA_ROOT": str(LOCAL / "media"),
    }


def set_defaults(environment: Mapping[str, str]) -> None:
    os.environ.update({name: value for name, value in environment.items() if not given(name)})
