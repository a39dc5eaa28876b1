"""Conditional requests (ETag) and idempotent POST requests."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core_apps.api import idempotency
from core_apps.api.models import IdempotencyKey
from customers.models import Customer, Tag
from customers.services.customers import archive_customers
from customers.tests.api import Caller, caller_of, errors
from customers.tests.factories import make_customer

TAGS = "/api/v1/tags/"
KEY = "Idempotency-Key"


@pytest.fixture
def caller(alice) -> Caller:
    return caller_of(alice)


@pytest.fixture
def tag(db) -> Tag:
    return Tag.objects.create(name="VIP")


def url(row) -> str:
    kind = {Tag: "tags", Customer: "customers"}[type(row)]
    return f"/api/v1/{kind}/{row.public_id}/"


# Reads.


@pytest.mark.parametrize("weak", ["", "W/"])
def test_row_that_has_not_changed_is_not_sent_again(caller, tag, weak):
    first = caller.get(url(tag))

    again = caller.get(url(tag), headers={"If-None-Match": f'"other", {weak}{first["ETag"]}'})

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert (first["Cache-Control"], again["Cache-Control"]) == ("private, no-cache", "private, no-cache")


def test_row_that_has_changed_is_sent_again(caller, tag):
    etag = caller.get(url(tag))["ETag"]
    caller.patch(url(tag), {"name": "Press"})

    again = caller.get(url(tag), headers={"If-None-Match": etag})

    assert (again.status_code, again.json()["name"]) == (200, "Press")


def test_other_fields_of_an_unchanged_row_are_sent(caller, tag):
    etag = caller.get(f"{url(tag)}?fields=id")["ETag"]

    assert caller.get(f"{url(tag)}?fields=name", headers={"If-None-Match": etag}).json() == {"name": "VIP"}


def test_list_that_has_not_changed_is_not_sent_again(caller, tag):
    etag = caller.get(TAGS)["ETag"]

    assert caller.get(TAGS, headers={"If-None-Match": etag}).status_code == 304
    Tag.objects.create(name="Press")
    assert caller.get(TAGS, headers={"If-None-Match": etag}).status_code == 200


# Edits.


def test_edit_of_the_row_that_was_read_is_taken(caller, tag):
    etag = caller.get(url(tag))["ETag"]

    changed = caller.patch(url(tag), {"name": "Press"}, headers={"If-Match": etag})
    changed_again = caller.patch(url(tag), {"name": "Radio"}, headers={"If-Match": changed["ETag"]})

    assert (changed.status_code, changed_again.status_code, changed_again.json()["name"]) == (200, 200, "Radio")
    assert changed_again["ETag"] == caller.get(url(tag))["ETag"]


def test_edit_of_a_row_that_has_changed_is_refused(caller, tag):
    etag = caller.get(url(tag))["ETag"]
    caller.patch(url(tag), {"name": "Press"})

    refused = caller.patch(url(tag), {"name": "Radio"}, headers={"If-Match": etag})

    assert (refused.status_code, refused.json()["title"]) == (412, "Precondition Failed")
    tag.refresh_from_db()
    assert tag.name == "Press"


def test_edit_is_refused_after_a_service_has_written(caller):
    customer = make_customer()
    etag = caller.get(url(customer))["ETag"]
    archive_customers(Customer.objects.all())

    assert caller.patch(url(customer), {"notes": "x"}, headers={"If-Match": etag}).status_code == 412


def test_deletion_of_a_row_that_has_changed_is_refused(caller, tag):
    etag = caller.get(url(tag))["ETag"]
    changed = caller.patch(url(tag), {"name": "Press"})

    assert caller.delete(url(tag), headers={"If-Match": etag}).status_code == 412
    assert caller.delete(url(tag), headers={"If-Match": changed["ETag"]}).status_code == 204


def test_sparse_and_compressed_answers_can_be_edited(caller, tag):
    sparse = caller.get(f"{url(tag)}?fields=id")["ETag"]

    changed = caller.patch(url(tag), {"name": "Press"}, headers={"If-Match": f"W/{sparse}"})

    assert (changed.status_code, changed.json()["name"]) == (200, "Press")


@pytest.mark.parametrize(("given", "status"), [("*", 200), ('"0-0"', 412), ("no tag at all", 412), ("", 412)])
def test_if_match_is_taken_at_its_word(caller, tag, given, status):
    assert caller.patch(url(tag), {"name": "Press"}, headers={"If-Match": given}).status_code == status


def test_if_match_of_a_row_that_is_not_there_is_not_found(caller, tag):
    tag.delete()

    assert caller.patch(url(tag), {"name": "Press"}, headers={"If-Match": "*"}).status_code == 404


def test_patch_of_nothing_changes_nothing(caller, tag):
    etag = caller.get(url(tag))["ETag"]

    assert caller.patch(url(tag), {})["ETag"] == etag


def test_edit_with_an_unknown_field_of_the_answer_writes_nothing(caller, tag):
    refused = caller.patch(f"{url(tag)}?fields=nme", {"name": "Press"})

    assert (refused.status_code, errors(refused)) == (400, [("fields", "unknown")])
    tag.refresh_from_db()
    assert tag.name == "VIP"


@pytest.mark.django_db(transaction=True)
def test_of_many_edits_of_the_same_version_one_is_taken(alice, tag):
    """The lost update: each has read the same, and each but one must hear that it was not the first."""
    writers = 8
    etag, cookies = caller_of(alice).get(url(tag))["ETag"], caller_of(alice).cookies
    together = Barrier(writers)

    def edit(number: int) -> int:
        caller = Caller()
        caller.cookies = cookies
        together.wait()
        try:
            return int(caller.patch(url(tag), {"name": f"Tag {number}"}, headers={"If-Match": etag}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(writers) as pool:
        statuses = list(pool.map(edit, range(writers)))

    tag.refresh_from_db()
    assert sorted(statuses) == [200] + [412] * (writers - 1)
    assert tag.name == f"Tag {statuses.index(200)}"


# Idempotency-Key.


def test_post_that_is_sent_again_makes_nothing_again(caller):
    first = caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})
    caller.patch(first["Location"], {"name": "Press"})

    again = caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})

    assert (again.status_code, again["Idempotency-Replayed"], again.json()["name"]) == (201, "true", "Press")
    assert again["Location"] == first["Location"]
    assert not first.has_header("Idempotency-Replayed")
    assert Tag.objects.count() == 1


def test_key_of_another_request_is_refused(caller):
    caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})

    other_body = caller.post(TAGS, {"name": "Press"}, headers={KEY: "1"})
    other_path = caller.post("/api/v1/companies/", {"name": "VIP"}, headers={KEY: "1"})

    assert (other_body.status_code, other_path.status_code) == (422, 422)
    assert Tag.objects.count() == 1


def test_key_of_another_person_is_another_key(caller, bob):
    caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})

    assert caller_of(bob).post(TAGS, {"name": "Press"}, headers={KEY: "1"}).status_code == 201


def test_key_of_what_was_refused_can_be_used_again(caller):
    refused = caller.post(TAGS, {"name": ""}, headers={KEY: "1"})

    assert (refused.status_code, IdempotencyKey.objects.count()) == (400, 0)
    assert caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"}).status_code == 201


def test_key_of_what_is_gone_says_so(caller):
    caller.delete(caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})["Location"])

    assert caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"}).status_code == 410
    assert Tag.objects.count() == 0


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 256])
def test_malformed_key_is_refused(caller, key):
    assert caller.post(TAGS, {"name": "VIP"}, headers={KEY: key}).status_code == 400
    assert Tag.objects.count() == 0


def test_keys_of_a_day_ago_are_forgotten_in_passing(caller, monkeypatch):
    monkeypatch.setattr(idempotency, "MAX_DELETED", 2)
    for name in ("a", "b", "c"):
        caller.post(TAGS, {"name": name}, headers={KEY: name})
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))

    caller.post(TAGS, {"name": "d"}, headers={KEY: "d"})

    assert IdempotencyKey.objects.count() == 2


def test_what_was_sent_is_not_kept(caller):
    caller.post("/api/v1/customers/", {"given_name": "Ingrid"}, headers={KEY: "1"})

    kept = IdempotencyKey.objects.values().get()
    assert kept.keys() == {"id", "user_id", "key", "fingerprint", "public_id", "created_at"}
    assert "Ingrid" not in str(kept)


@pytest.mark.django_db(transaction=True)
def test_post_that_is_sent_50_times_at_once_makes_one_row(alice):
    senders = 50
    cookies = caller_of(alice).cookies
    together = Barrier(senders)

    def send(_number: int) -> tuple[int, str, bool]:
        caller = Caller()
        caller.cookies = cookies
        together.wait()
        try:
            answer = caller.post(TAGS, {"name": "VIP"}, headers={KEY: "1"})
            return answer.status_code, answer.json().get("id"), answer.has_header("Idempotency-Replayed")
        finally:
            connection.close()

    with ThreadPoolExecutor(senders) as pool:
        answers = list(pool.map(send, range(senders)))

    public_id = str(Tag.objects.get().public_id)
    assert sorted(answers) == [(201, public_id, False)] + [(201, public_id, True)] * (senders - 1)


@pytest.mark.django_db(transaction=True)
def test_post_whose_first_sending_takes_too_long_is_told_to_wait(alice):
    caller = caller_of(alice)
    sent = {"name": "VIP"}
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")

    def hold(inserted: Barrier, done: Barrier) -> None:
        with transaction.atomic():
            IdempotencyKey.objects.create(user=alice, key="1", fingerprint="0" * 64)
            inserted.wait()
            done.wait()
        connection.close()

    inserted, done = Barrier(2), Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold, inserted, done)
        inserted.wait()
        answer = caller.post(TAGS, sent, headers={KEY: "1"})
        done.wait()
        held.result()
    connection.close()

    assert (answer.status_code, answer["Retry-After"]) == (409, "1")
    assert Tag.objects.count() == 0
