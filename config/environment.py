"""Reads settings from the environment and .env, and reports all errors at once."""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import decouple

from core_apps.common.time_zones import is_regional

T = TypeVar("T")

# Long enough that a random key contains none of them by chance.
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
# A host name, a domain with its subdomains (.example.com), or an address; without scheme, port and path.
HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*\.?|\[[0-9a-fA-F:.]+\]")
ADVICE = ".env.example explains each of them."
MIN_SECRET_KEY_LENGTH = 50  # characters, as in Django's deployment check


class Environment:
    """Reads one variable per call. An invalid value is recorded as an error, and a harmless one is returned.

    The environment takes precedence over .env; a blank variable means the default. Error messages name the
    variable but never show its value, because they end up in logs.
    """

    def __init__(self, dotenv: Path) -> None:
        repository = decouple.RepositoryEnv(dotenv) if dotenv.is_file() else decouple.RepositoryEmpty()
        self._config = decouple.Config(repository)
        self.errors: dict[str, str] = {}

    def add_error(self, name: str, reason: str) -> None:
        """Record the first error of each variable, and no others for one whose file cannot be read."""
        if f"{name}_FILE" not in self.errors:
            self.errors.setdefault(name, reason)

    def get_text(self, name: str, default: str = "") -> str:
        return str(self._config(name, default="")).strip() or default

    def get_secret(self, name: str) -> str:
        """Return the variable NAME, or the content of the file named by NAME_FILE."""
        path = self.get_text(f"{name}_FILE")
        if not path:
            return self.get_text(name)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            self.add_error(f"{name}_FILE", f"names a file that cannot be read ({reason})")
            return ""

    def require(self, reason: str, *names: str) -> None:
        """Record an error for each of the names that is not set, although the variable `reason` is."""
        for name in names:
            if not self.get_secret(name):
                self.add_error(name, f"is missing: {reason} needs it")

    def get_bool(self, name: str, *, default: bool) -> bool:
        return self._cast(name, default, decouple.strtobool, "is not a boolean: write true or false") is True

    def get_int(self, name: str, *, default: int, minimum: int = 0) -> int:
        value = self._cast(name, default, int, "is not a whole number")
        if value < minimum:
            self.add_error(name, f"is less than {minimum}")
        return value

    def get_choice(self, name: str, options: tuple[str, ...]) -> str:
        """Return one of the options; the first is the default."""
        value = self.get_text(name, options[0])
        if value not in options:
            self.add_error(name, f"must be one of {', '.join(options)}")
        return value

    def get_list(self, name: str) -> list[str]:
        return _split(self.get_text(name))

    def get_pairs(self, name: str) -> dict[str, str]:
        """Return the values by name of NAME=value,NAME=value."""
        pairs = [pair.partition("=") for pair in _split(self.get_secret(name))]
        if not all(separator for _name, separator, _value in pairs):
            self.add_error(name, "is not of the form NAME=value,NAME=value")
        return {key: value for key, _separator, value in pairs}

    def get_url_path(self, name: str) -> str:
        """Return a path such as /protected-media/, or blank."""
        path = self.get_text(name)
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/", path):
            self.add_error(name, "must be a path that starts and ends with /, such as /protected-media/")
        return path

    def get_secret_key(self) -> str:
        key = self.get_secret("SECRET_KEY")
        self._check_secret_key("SECRET_KEY", key)
        return key

    def get_secret_key_fallbacks(self) -> list[str]:
        """Return the former keys, newest first; their signatures stay valid."""
        keys = _split(self.get_secret("SECRET_KEY_FALLBACKS"))
        for key in keys:
            self._check_secret_key("SECRET_KEY_FALLBACKS", key)
        return keys

    def get_allowed_hosts(self, *, debug: bool) -> list[str]:
        hosts = self.get_list("ALLOWED_HOSTS")
        if not hosts:
            self.add_error("ALLOWED_HOSTS", "is missing: list the host names of the site")
        for host in hosts:
            if host != "*" and not HOST.fullmatch(host):
                self.add_error(
                    "ALLOWED_HOSTS", f"contains {host}: write host names only, such as {_suggest_host(host)}"
                )
        if "*" in hosts:
            self.add_error("ALLOWED_HOSTS", "is *, which lets anybody choose the host of links in e-mails")
        if debug and any(_is_public(host) for host in hosts):
            self.add_error("DEBUG", "is on while ALLOWED_HOSTS contains a public host: error pages would show secrets")
        return hosts

    def get_site_url(self, name: str, hosts: list[str], *, https: bool, port: int) -> str:
        """Return a URL without a slash at its end; by default, that of the first host."""
        url = self.get_origin(name)
        host = hosts[0].lstrip(".") if hosts else "localhost"
        return url or (f"https://{host}" if https else f"http://{host}:{port}")

    def get_origin(self, name: str) -> str:
        """Return a scheme, a host and perhaps a port, or blank."""
        url = self.get_text(name)
        if url and not re.fullmatch(r"https?://[^/?#\s]+", url):
            self.add_error(name, "must be like https://crm.example.com, without a path")
        return url

    def get_address(self, name: str) -> str:
        """Return a scheme, a host and perhaps a port and a path, without a slash at its end; or blank."""
        url = self.get_text(name)
        if url and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url):
            self.add_error(name, "must be like https://collector.example.com:4318")
        return url.rstrip("/")

    def get_bucket(self, name: str) -> str:
        """Return the name of a bucket, or blank. With a dot, Amazon's certificate would not fit its host name."""
        bucket = self.get_text(name)
        if bucket and not re.fullmatch(r"[a-z0-9-]{3,63}", bucket):
            self.add_error(name, "must be 3 to 63 lower-case letters, digits and hyphens")
        return bucket

    def get_country(self, name: str) -> str:
        """Return an ISO 3166-1 alpha-2 code, or blank."""
        code = self.get_text(name)
        if code and not re.fullmatch(r"[A-Z]{2}", code):
            self.add_error(name, "must be a country code of two capital letters, such as DE or GB")
        return code

    def get_time_zone(self, name: str) -> str:
        zone = self.get_text(name, "UTC")
        if is_regional(zone):
            return zone
        self.add_error(name, "must be an IANA name such as Europe/Berlin, or UTC")
        return "UTC"

    def get_database(self) -> dict[str, Any]:
        """Return DATABASE_URL (`postgresql://user:password@host:port/name?sslmode=require`) as Django's settings.

        The query string is passed to libpq.
        """
        url = self._get_url("DATABASE_URL", "postgresql://user:password@host:5432/name", "postgres")
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(url.path.lstrip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": unquote(url.hostname or ""),  # %2Frun is the directory of a socket
            "PORT": str(url.port or ""),
            "OPTIONS": dict(parse_qsl(url.query)),
        }

    def get_networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """Return networks such as `10.1.0.0/16`, from a comma-separated list."""
        try:
            return [ip_network(text) for text in self.get_list(name)]
        except ValueError as error:
            self.add_error(name, f"must be networks such as 10.1.0.0/16, comma-separated ({error})")
            return []

    def get_redis_url(self, name: str) -> str:
        """Return a URL such as `redis://:password@host:6379/0`; `rediss` for TLS."""
        return self._get_url(name, "redis://:password@host:6379/0", "rediss").geturl()

    def exit_on_errors(self) -> None:
        """Exit with one message that lists every error.

        Raises SystemExit rather than ImproperlyConfigured because neither manage.py nor Gunicorn shows a
        traceback for it.
        """
        if self.errors:
            errors = "\n".join(f"  - {name} {reason}" for name, reason in self.errors.items())
            message = "Exhibition CRM cannot start. These settings are wrong:"
            raise SystemExit(f"{message}\n{errors}\n{ADVICE}")

    def _cast(self, name: str, default: T, cast: Callable[[str], T], reason: str) -> T:
        value = self.get_text(name)
        if not value:
            return default
        try:
            return cast(value)
        except ValueError:
            self.add_error(name, reason)
            return default

    def _check_secret_key(self, name: str, key: str) -> None:
        if not key:
            self.add_error(name, "is missing: generate one of 50 or more random characters")
        elif _is_placeholder(key) or len(set(key)) < 5:
            self.add_error(name, "is a placeholder: generate a random one")
        elif len(key) < MIN_SECRET_KEY_LENGTH:
            self.add_error(name, f"is shorter than {MIN_SECRET_KEY_LENGTH} characters")

    def _get_url(self, name: str, example: str, other_scheme: str) -> SplitResult:
        """Return the URL. It needs the scheme of `example` or the other one, a host and, except for Redis, a path."""
        value, expected = self.get_secret(name), urlsplit(example)
        try:
            url = urlsplit(value)
            valid = url.scheme in (expected.scheme, other_scheme) and url.hostname and url.port != 0
        except ValueError:  # a port that is not a number, an unbalanced bracket
            valid = False
        if valid and (len(url.path) > 1 or expected.path == "/0"):
            if any(_is_placeholder(password) for password in _passwords(url)):
                self.add_error(name, "has a placeholder as its password: generate a random one")
            return url
        problem = "malformed" if value else "missing"
        self.add_error(name, f"is {problem}: write {example}, with special characters percent-encoded")
        return expected


def _suggest_host(text: str) -> str:
    """Return the host name of a URL, or an example."""
    host = re.sub(r"^\w+://|[:/].*$", "", text)
    return host if HOST.fullmatch(host) else "crm.example.com"


def _split(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _passwords(url: SplitResult) -> list[str]:
    """Return the passwords of the URL: libpq and redis-py also accept one in the query string."""
    return [unquote(url.password or ""), *(value for name, value in parse_qsl(url.query) if name == "password")]


def _is_placeholder(secret: str) -> bool:
    return any(word in secret.lower() for word in PLACEHOLDERS)


def _is_public(host: str) -> bool:
    """Return whether the host is a public name or address rather than a local or private one."""
    name = host.strip(".[]").lower()
    try:
        return ip_address(name).is_global
    except ValueError:
        return "." in name and not name.endswith((".localhost", ".local", ".internal", ".test"))
