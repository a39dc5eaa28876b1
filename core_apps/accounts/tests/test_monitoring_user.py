import io
import secrets

import pytest
from django.core.management import CommandError, call_command

from core_apps.accounts.models import ApiToken, User


@pytest.fixture
def create(monkeypatch, db):
    def create_monitoring_user(token: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(token))
        call_command("create_monitoring_user")

    return create_monitoring_user


@pytest.fixture
def ask(client):
    return lambda token: client.get("/api/v1/tags/", headers={"Authorization": f"Token {token}"}, secure=True)


def test_monitoring_user_is_known_and_may_do_nothing(create, ask):
    token = secrets.token_urlsafe(48)

    create(token)

    assert (ask(token).status_code, ask(token).json()["title"]) == (403, "Forbidden")
    assert ask(secrets.token_urlsafe(48)).status_code == 401
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.has_usable_password(), user.daily_digest) == (False,) * 4
    assert user.get_all_permissions() == set()


def test_monitoring_user_with_a_new_token_loses_the_former_one(create, ask):
    tokens = [secrets.token_urlsafe(48) for _ in range(2)]

    for token in tokens:
        create(token)

    assert [ask(token).status_code for token in tokens] == [401, 403]
    assert (User.objects.count(), ApiToken.objects.count()) == (1, 1)


def test_monitoring_user_without_a_long_token_is_refused(create):
    with pytest.raises(CommandError, match=r"MONITORING_TOKEN has 6 characters"):
        create("secret")

    assert not User.objects.exists()
