"""Fixtures for every app: a named cast, and static files without a collected manifest."""

import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client

from config.local.servers import free_port
from config.local.valkey import Valkey
from core_apps.accounts.models import User
from core_apps.cache import client
from core_apps.operations.postgresql.base import DatabaseWrapper


@pytest.fixture(autouse=True)
def _static_files_without_manifest(settings):
    """Pages render in tests without `collectstatic`; config/tests/test_static_files.py tests the real storage."""
    settings.STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns of a missing one
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(autouse=True)
def _no_server_known_to_be_away(monkeypatch):
    """No test inherits what an earlier one found out."""
    monkeypatch.setattr(client, "_retry_at", 0.0)
    monkeypatch.setattr(DatabaseWrapper, "_retry_at", 0.0)


@pytest.fixture(autouse=True)
def _no_limit_of_requests_reached(settings):
    """All tests share an address, and many share a minute."""
    settings.API_RATE_PER_TOKEN = settings.API_RATE_OF_FAILURES = 1_000_000


@pytest.fixture
def alice(db) -> User:
    """The administrator."""
    return User.objects.create_superuser("alice@example.com", name="Alice")


@pytest.fixture
def member_of(db) -> Callable[..., User]:
    """Makes somebody with the role of that name, and a stand at these exhibitions."""

    def make(role: str, *exhibitions: Any, name: str = "") -> User:
        name = name or f"{role} {User.objects.count()}"
        email = f"{name.lower().replace(' ', '-')}@example.com"
        user = User.objects.create_user(email, name=name, is_staff=True)
        if not Group.objects.exists():  # a test that could not be rolled back has emptied the tables
            import_module("customers.migrations.0001_initial").make_roles(apps, None)
        user.groups.set([Group.objects.get(name=role)])
        user.exhibitions.set(exhibitions)
        return user

    return make


@pytest.fixture
def bob(member_of) -> User:
    """A manager: sees and edits everything of the domain, and no users."""
    return member_of("Manager", name="Bob")


@pytest.fixture
def charlie(db) -> User:
    """Has an account and no rights."""
    return User.objects.create_user("charlie@example.com", name="Charlie")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser that is logged in."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def silent_redis(settings) -> Iterator[None]:
    """Accepts connections, as a paused server's kernel does, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
        yield


class OwnRedis:
    """A server that a test may harm; the application uses it."""

    def __init__(self, home: Path) -> None:
        self.server = Valkey(home, "a-password")
        self.port = free_port()
        self.url = self.server.url(self.port)
        self.start()
        self.client = redis.Redis.from_url(self.url)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def start(self) -> None:
        """On the same port, with its snapshot if it has one."""
        self.process = self.server.launch(self.port)

    def stop(self) -> None:
        self.client.close()
        if self.process.is_running():
            self.process.resume()
            self.kill()


@pytest.fixture
def own_redis(tmp_path, settings) -> Iterator[OwnRedis]:
    home = tmp_path / "valkey"
    home.mkdir()
    own = OwnRedis(home)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": own.url}}
    yield own
    own.stop()
