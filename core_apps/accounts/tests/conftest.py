"""Fixtures of the tests that log in with a password."""

import pytest

from core_apps.accounts.models import User

PASSWORD = "a long enough password"


@pytest.fixture
def fast_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(bob: User, fast_passwords: None) -> User:
    bob.set_password(PASSWORD)
    bob.save()
    return bob
