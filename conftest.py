"""Fixtures for every app: a named cast, and static files without a collected manifest."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from core_apps.accounts.models import User
from core_apps.common import caching, database
from core_apps.common.breaker import Breaker


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
    monkeypatch.setattr(caching, "BREAKER", Breaker(pause=2, trial=1))
    monkeypatch.setattr(database, "BREAKER", Breaker(pause=1, trial=4))


@pytest.fixture
def alice(db) -> User:
    """The administrator."""
    return User.objects.create_superuser("alice@example.com", name="Alice")


@pytest.fixture
def bob(db) -> User:
    """Stand staff: sees and edits customers and visits, and nothing else."""
    user = User.objects.create_user("bob@example.com", name="Bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__model__in=("customer", "visit")))
    return user


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
