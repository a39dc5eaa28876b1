"""Requests with an API token: whose it is, what its scopes leave, when it stops."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core_apps.accounts.models import ApiToken, User
from core_apps.accounts.tests.test_token_admin import revoke
from core_apps.api import authentication

pytestmark = pytest.mark.django_db

TAGS = "/api/v1/tags/"
EVERY_SCOPE = ("read", "write", "delete", "capture")


@pytest.fixture(autouse=True)
def _no_use_noted(monkeypatch):
    monkeypatch.setattr(authentication, "LAST_USES", authentication.LastUses())


def token_of(user: User, *scopes: str, days: int = 90) -> str:
    """As its program has it."""
    expiry = timedelta(days=days)
    _token, plain = ApiToken.objects.create_token(user, expiry, name="Website", scopes=scopes or EVERY_SCOPE)
    return plain


@pytest.fixture
def call(client) -> Callable[..., Any]:
    """Sends one request with a token."""

    def send(plain: str, method: str = "GET", path: str = TAGS, data: Any = "") -> Any:
        headers = {"Authorization": f"Token {plain}"}
        return client.generic(method, path, data, "application/json", True, headers=headers)

    return send


def test_token_is_the_person_whose_it_is(bob, call):
    made = call(token_of(bob), "POST", "/api/v1/customers/", '{"given_name": "Ingrid", "owner": "bob@example.com"}')

    assert (made.status_code, made.json()["owner"]) == (201, "bob@example.com")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Token {}", 200),
        ("token   {} ", 200),
        ("Token", 401),
        ("Token {} more", 401),
        ("Token {}\u00e9", 401),
        ("Bearer {}", 401),
    ],
)
def test_header_counts_where_it_is_the_word_and_one_token(bob, client, header, status):
    answer = client.get(TAGS, secure=True, headers={"Authorization": header.format(token_of(bob))})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("scope", "method", "path", "data", "allowed"),
    [
        ("read", "GET", "", "", 200),
        ("read", "HEAD", "", "", 200),
        ("write", "POST", "", '{"name": "Press"}', 201),
        ("write", "PATCH", "{one}", '{"name": "Press"}', 200),
        ("delete", "DELETE", "{one}", "", 204),
        ("capture", "POST", "../visits/capture/", '{"entries": [{}]}', 200),
    ],
)
def test_scope_allows_its_own_requests_alone(bob, call, scope, method, path, data, allowed):
    one = call(token_of(bob), "POST", TAGS, '{"name": "VIP"}').json()["id"]
    address = "/api/v1/visits/capture/" if "capture" in path else TAGS + path.replace("{one}", f"{one}/")
    others = [name for name in EVERY_SCOPE if name != scope]

    refused = call(token_of(bob, *others), method, address, data)
    done = call(token_of(bob, scope), method, address, data)

    assert (refused.status_code, done.status_code) == (403, allowed)
    if method != "HEAD":
        assert refused.json()["detail"] == f"This token lacks the “{scope}” scope."


def test_token_that_only_writes_is_told_the_id_alone(bob, call):
    made = call(token_of(bob, "write"), "POST", TAGS, '{"name": "VIP"}')
    row = call(token_of(bob), path=f"{TAGS}{made.json()['id']}/").json()
    changed = call(token_of(bob, "write"), "PATCH", f"{TAGS}{row['id']}/?fields=name", "{}")

    assert (made.status_code, made.json()) == (201, {"id": row["id"]})
    assert (changed.status_code, changed.json()) == (200, {"id": row["id"]})
    assert row["name"] == "VIP"
    assert call(token_of(bob, "read", "write"), "PATCH", f"{TAGS}{row['id']}/", "{}").json() == row


def test_scope_gives_no_right_that_the_person_has_not(member_of, call):
    plain = token_of(member_of("Read-only"))

    assert call(plain).status_code == 200
    assert call(plain, "POST", TAGS, '{"name": "Press"}').status_code == 403


def test_right_that_is_taken_counts_at_once(bob, call):
    plain = token_of(bob)
    assert call(plain).status_code == 200

    bob.groups.clear()

    assert call(plain).status_code == 403


def test_right_that_a_group_gets_counts_at_once(charlie, call):
    charlie.is_staff = True
    charlie.save()
    plain = token_of(charlie)
    assert call(plain).status_code == 403

    charlie.groups.add(Group.objects.get(name="Manager"))

    assert call(plain).status_code == 200


def test_token_that_is_revoked_stops_at_once(bob, call, client_of):
    plain = token_of(bob)
    assert call(plain).status_code == 200

    revoke(client_of(bob), ApiToken.objects.get())

    assert call(plain).status_code == 401


def test_token_that_is_expired_is_refused(bob, call):
    assert call(token_of(bob, days=-1)).status_code == 401


@pytest.mark.parametrize(("field", "status"), [("is_active", 401), ("is_staff", 403)])
def test_token_of_who_has_left_is_refused(bob, call, field, status):
    plain = token_of(bob)
    setattr(bob, field, False)
    bob.save()

    assert call(plain).status_code == status


def test_token_that_expires_is_refused_though_it_is_remembered(bob, call, monkeypatch):
    plain = token_of(bob, days=1)
    known = authentication.load_token(ApiToken.objects.get().digest)
    monkeypatch.setattr(authentication, "get_or_compute_json", lambda _key, _load: known)
    assert call(plain).status_code == 200

    assert known
    known["expiry"] = timezone.now().timestamp()

    assert call(plain).status_code == 401


@pytest.mark.parametrize("shown", ["", "x", "é", "two words", "0" * 64, "0" * 10_000, "\x00"])
def test_what_is_no_token_is_refused(db, call, shown):
    refused = call(shown)

    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Token")
    assert refused["Content-Type"] == "application/problem+json"


def test_request_without_a_token_is_told_how_to_authenticate(db, client):
    refused = client.get(TAGS, secure=True)

    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Token")


def test_session_writes_only_with_the_token_of_its_form(bob):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    client.get("/api/v1/docs/", secure=True)
    form = client.cookies["csrftoken"].value
    headers = {"Referer": "https://testserver/"}

    refused = client.post(TAGS, {"name": "A"}, "application/json", secure=True, headers=headers)
    done = client.post(TAGS, {"name": "A"}, "application/json", secure=True, headers=headers | {"X-CSRFToken": form})

    assert (refused.status_code, done.status_code) == (403, 201)


@pytest.mark.parametrize("role", ["Administrator", "Stand staff"])
def test_list_takes_at_most_four_queries_and_a_row_five(member_of, call, role):
    plain = token_of(member_of(role))
    made = token_of(member_of("Manager", name="Maria"))
    one = call(made, "POST", TAGS, '{"name": "VIP"}').json()["id"]
    call(plain)  # notes the use

    with CaptureQueriesContext(
        connection,
    ) as listed:
        assert call(plain).status_code == 200
    with CaptureQueriesContext(connection) as shown:
        assert call(plain, path=f"{TAGS}{one}/").status_code == 200

    assert (len(listed), len(shown)) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_token_that_is_remembered_takes_one_query_for_the_version(alice, call):
    plain = token_of(alice)
    call(plain)
    call(plain)

    with CaptureQueriesContext(connection) as queries:
        assert call(plain).status_code == 200

    assert ["data_version" in query["sql"] for query in queries] == [True]


def test_last_use_is_written_at_most_every_ten_minutes(bob, call):
    plain = token_of(bob)

    call(plain)
    first = ApiToken.objects.get().last_used_at
    call(plain)

    assert first is not None
    assert ApiToken.objects.get().last_used_at == first


def test_last_use_that_another_process_has_written_is_left(bob, call, monkeypatch):
    plain, moment = token_of(bob), timezone.now() - timedelta(minutes=9)
    ApiToken.objects.update(last_used_at=moment)

    call(plain)
    assert ApiToken.objects.get().last_used_at == moment

    monkeypatch.setattr(authentication, "LAST_USES", authentication.LastUses())
    ApiToken.objects.update(last_used_at=moment - timedelta(minutes=2))
    call(plain)
    last_use = ApiToken.objects.get().last_used_at
    assert last_use
    assert last_use > moment


def test_person_by_token_is_saved_without_losing_what_was_not_remembered(bob):
    bob.set_password("a password of bob's")
    bob.save()
    token_of(bob)
    known = authentication.load_token(ApiToken.objects.get().digest)
    assert known

    person = authentication.build_user(known)
    person.name = "Robert"
    person.save()

    bob.refresh_from_db()
    assert (bob.name, bob.check_password("a password of bob's")) == ("Robert", True)


def test_log_names_the_person_and_not_the_token(bob, call, caplog):
    plain = token_of(bob)
    with caplog.at_level("INFO"):
        call(plain)

    (line,) = [record for record in caplog.records if record.name == "access"]
    assert line.user_id == str(bob.pk)
    assert plain not in str([record.__dict__ for record in caplog.records])
