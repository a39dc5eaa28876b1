"""Fixtures of all apps: users, engines, and static files without a manifest."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import translation

from config.local.servers import find_free_port
from config.local.valkey import Valkey
from core_apps.accounts.models import User
from core_apps.accounts.roles import grant
from core_apps.cache import client
from core_apps.operations.postgresql.base import DatabaseWrapper


@pytest.fixture(autouse=True)
def _static_files_without_manifest(settings):
    """Pages render in tests without `collectstatic`; config/tests/test_static_files.py tests the real storage."""
    settings.STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns if it is missing
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(autouse=True)
def _reset_circuit_breakers(monkeypatch):
    """No test depends on outages that an earlier one has met."""
    monkeypatch.setattr(client, "_retry_at", 0.0)
    monkeypatch.setattr(DatabaseWrapper, "_retry_at", 0.0)


@pytest.fixture(autouse=True)
def _raise_rate_limits(settings):
    """All tests share an address, and many run in the same minute."""
    settings.API_RATE_PER_TOKEN = settings.API_RATE_OF_FAILURES = 1_000_000


@pytest.fixture(autouse=True)
def _english() -> None:
    """A request in German leaves its language active in the thread."""
    translation.activate("en")


@pytest.fixture
def alice(db) -> User:
    """The administrator."""
    return User.objects.create_superuser("alice@example.com", name="Alice")


@pytest.fixture(scope="session")
def roles() -> dict[str, list[str]]:
    """The permissions of each role after all migrations, from django_db_setup."""
    return {}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker, roles) -> None:
    with django_db_blocker.unblock():
        for group in Group.objects.all():
            roles[group.name] = list(group.permissions.values_list("codename", flat=True))


@pytest.fixture
def member_of(db, roles) -> Callable[..., User]:
    """Create a user with this role at the stands of these exhibitions."""

    def make(role: str, *exhibitions: Any, name: str = "") -> User:
        name = name or f"{role} {User.objects.count()}"
        email = f"{name.lower().replace(' ', '-')}@example.com"
        user = User.objects.create_user(email, name=name, is_staff=True)
        if not Group.objects.exists():  # a transactional test has emptied the tables
            grant(apps, roles)
        user.groups.set([Group.objects.get(name=role)])
        user.exhibitions.set(exhibitions)
        return user

    return make


@pytest.fixture
def bob(member_of) -> User:
    """A manager, who edits everything of the domain but no users."""
    return member_of("Manager", name="Bob")


@pytest.fixture
def charlie(db) -> User:
    """A user without permissions."""
    return User.objects.create_user("charlie@example.com", name="Charlie")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """Return a client that is logged in as the user."""

    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def silent_redis(settings) -> Iterator[None]:
    """A server that accepts connections but never responds, like a paused one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
        yield


class OwnRedis:
    """A server used by the application that a test may stop."""

    def __init__(self, home: Path) -> None:
        self.server = Valkey(home, "a-password")
        self.port = find_free_port()
        self.url = self.server.url(self.port)
        self.start()
        self.client = redis.Redis.from_url(self.url)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def start(self) -> None:
        """Start on the same port, with the snapshot if there is one."""
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
