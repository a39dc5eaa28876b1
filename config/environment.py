"""Reads variables from the environment and .env, and gathers every fault before it complains."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import decouple

T = TypeVar("T")

# Long enough that a random key holds none of them by chance.
PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "insecure",
    "example",
    "your-secret",
    "secret-key",
)
ADVICE = "See .env.example for what each one means."
SHORTEST_SECRET_KEY = 50  # characters; what Django's own deployment check asks for


class Environment:
    """One variable per call; a fault is noted, a harmless value returned, and reading goes on.

    A variable in the environment wins over the same one in .env; a blank one means the default. Faults name
    the variable and never show its value, because the message ends up in logs.
    """

    def __init__(self, dotenv: Path) -> None:
        repository = decouple.RepositoryEnv(dotenv) if dotenv.is_file() else decouple.RepositoryEmpty()
        self._config = decouple.Config(repository)
        self.faults: dict[str, str] = {}

    def fault(self, name: str, reason: str) -> None:
        """Notes the first reason for each variable; of one whose file cannot be read, nothing else matters."""
        if f"{name}_FILE" not in self.faults:
            self.faults.setdefault(name, reason)

    def text(self, name: str, default: str = "") -> str:
        return str(self._config(name, default="")).strip() or default

    def secret(self, name: str) -> str:
        """The variable NAME, or the content of the file that NAME_FILE points to."""
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            self.fault(f"{name}_FILE", f"names a file that cannot be read ({reason})")
            return ""

    def flag(self, name: str, *, default: bool) -> bool:
        return self._cast(name, default, decouple.strtobool, "is not a boolean: write true or false") is True

    def number(self, name: str, *, default: int, least: int = 0) -> int:
        """A whole number."""
        value = self._cast(name, default, int, "is not a whole number")
        if value < least:
            self.fault(name, f"is less than {least}")
        return value

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """One of the options; the first is the default."""
        value = self.text(name, options[0])
        if value not in options:
            self.fault(name, f"is none of {', '.join(options)}")
        return value

    def words(self, name: str) -> list[str]:
        """A comma-separated list."""
        return _split(self.text(name))

    def url_path(self, name: str) -> str:
        """A path such as /protected-media/, or blank."""
        path = self.text(name)
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/", path):
            self.fault(name, "is no path with / at both ends, such as /protected-media/")
        return path

    def secret_key(self) -> str:
        key = self.secret("SECRET_KEY")
        self._check_secret_key("SECRET_KEY", key)
        return key

    def secret_key_fallbacks(self) -> list[str]:
        """Former keys, newest first; what they signed stays valid."""
        keys = _split(self.secret("SECRET_KEY_FALLBACKS"))
        for key in keys:
            self._check_secret_key("SECRET_KEY_FALLBACKS", key)
        return keys

    def allowed_hosts(self, *, debug: bool) -> list[str]:
        hosts = self.words("ALLOWED_HOSTS")
        if not hosts:
            self.fault("ALLOWED_HOSTS", "is missing: list the host names the site answers to")
        if "*" in hosts:
            self.fault("ALLOWED_HOSTS", "is *, which lets anybody choose the links in e-mails")
        if debug and any(_is_public(host) for host in hosts):
            self.fault("DEBUG", "is on while ALLOWED_HOSTS names a public host: it would show secrets")
        return hosts

    def database(self) -> dict[str, Any]:
        """DATABASE_URL (`postgresql://user:password@host:port/name?sslmode=require`) as Django's connection settings.

        What stands behind the question mark goes to libpq as it is.
        """
        url = self._url("DATABASE_URL", "postgresql://user:password@host:5432/name", "postgres")
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(url.path.lstrip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": unquote(url.hostname or ""),  # %2Frun is the directory of a socket
            "PORT": str(url.port or ""),
            "OPTIONS": dict(parse_qsl(url.query)),
        }

    def redis_url(self) -> str:
        """REDIS_URL, e.g. `redis://:password@host:6379/0`; `rediss` for TLS."""
        return self._url("REDIS_URL", "redis://:password@host:6379/0", "rediss").geturl()

    def refuse_faults(self) -> None:
        """Ends the process with one message that lists every fault.

        SystemExit and not ImproperlyConfigured: it reaches the person without a traceback from manage.py
        and Gunicorn alike.
        """
        if self.faults:
            faults = "\n".join(f"  - {name} {reason}" for name, reason in self.faults.items())
            refusal = "Exhibition CRM cannot start: these variables are wrong."
            raise SystemExit(f"{refusal}\n{faults}\n{ADVICE}")

    def _cast(self, name: str, default: T, cast: Callable[[str], T], reason: str) -> T:
        value = self.text(name)
        if not value:
            return default
        try:
            return cast(value)
        except ValueError:
            self.fault(name, reason)
            return default

    def _check_secret_key(self, name: str, key: str) -> None:
        if not key:
            self.fault(name, "is missing: generate one of 50 or more random characters")
        elif _is_placeholder(key) or len(set(key)) < 5:
            self.fault(name, "is a placeholder: generate a random one")
        elif len(key) < SHORTEST_SECRET_KEY:
            self.fault(name, f"is shorter than {SHORTEST_SECRET_KEY} characters")

    def _url(self, name: str, form: str, other_scheme: str) -> SplitResult:
        """The URL in the variable: with the form's scheme or the other one, a host and a path, which Redis can omit."""
        value, wanted = self.secret(name), urlsplit(form)
        try:
            url = urlsplit(value)
            right = url.scheme in (wanted.scheme, other_scheme) and url.hostname and url.port != 0
        except ValueError:  # a port that is no number, a bracket without its pair
            right = False
        if right and (len(url.path) > 1 or wanted.path == "/0"):
            if any(_is_placeholder(password) for password in _passwords(url)):
                self.fault(name, "has a placeholder for a password: generate a random one")
            return url
        fault = "malformed" if value else "missing"
        self.fault(name, f"is {fault}: {form}, special characters percent-encoded")
        return wanted


def _split(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _passwords(url: SplitResult) -> list[str]:
    """In the URL's own place, and behind the question mark, where libpq and redis-py take one too."""
    return [unquote(url.password or ""), *(value for name, value in parse_qsl(url.query) if name == "password")]


def _is_placeholder(secret: str) -> bool:
    return any(word in secret.lower() for word in PLACEHOLDERS)


def _is_public(host: str) -> bool:
    """Whether strangers could reach the host: neither a bare or local name nor a private address."""
    name = host.strip(".[]").lower()
    try:
        return ip_address(name).is_global
    except ValueError:
        return "." in name and not name.endswith((".localhost", ".local", ".internal", ".test"))
