"""A customer's photo over the API."""

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Semaphore

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from PIL import Image

from core_apps.media.photos import image
from customers.models import Customer
from customers.tests.api import Caller, caller_of, errors
from customers.tests.factories import make_customer, make_exhibition, make_visit
from customers.tests.media import fetch, list_files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


@pytest.fixture
def customer():
    return make_customer()


def url(customer):
    return f"/api/v1/customers/{customer.public_id}/photo/"


def picture(size=(800, 600)):
    content = BytesIO()
    Image.new("RGB", size, "teal").save(content, "PNG")
    return content.getvalue()


def put_photo(caller, customer, content=None, **options):
    upload = SimpleUploadedFile("../me.png", picture() if content is None else content)
    body = encode_multipart(BOUNDARY, {"photo": upload})
    return caller.put(url(customer), body, content_type=MULTIPART_CONTENT, **options)


def size_of(response):
    headers, body = fetch(response)
    assert headers["Content-Type"] == "image/jpeg"
    return Image.open(BytesIO(body)).size


def test_photo_is_uploaded_served_in_two_sizes_and_deleted(bob, customer, media):
    caller = caller_of(bob)

    assert put_photo(caller, customer).status_code == 204
    large, small = caller.get(url(customer)), caller.get(f"{url(customer)}?size=small")

    assert large["X-Content-Type-Options"] == "nosniff"
    assert (size_of(large), size_of(small)) == ((800, 600), (160, 120))
    assert caller.get(f"/api/v1/customers/{customer.public_id}/").json()["has_photo"] is True
    assert caller.delete(url(customer)).status_code == 204
    assert caller.get(url(customer)).status_code == 404
    assert Customer.objects.get().photo == ""


def test_photo_is_sent_to_clients_that_accept_only_images(bob, customer):
    caller = caller_of(bob)
    accepting = {"Accept": "image/*"}

    assert caller.get(url(customer), headers=accepting)["Content-Type"] == "application/problem+json"
    put_photo(caller, customer)
    assert size_of(caller.get(url(customer), headers=accepting)) == (800, 600)


def test_new_photo_takes_the_place_of_the_one_before(bob, customer, media, django_capture_on_commit_callbacks):
    caller = caller_of(bob)
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            put_photo(caller, customer)

    assert len(list_files()) == 2


@pytest.mark.parametrize("content", [b"<svg/>", b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_invalid_photo_is_refused_and_not_stored(bob, customer, media, content):
    response = put_photo(caller_of(bob), customer, content)

    assert (response.status_code, [field for field, _code in errors(response)]) == (400, ["photo"])
    assert Customer.objects.get().photo == ""
    assert list_files() == []


def test_body_that_is_not_a_form_is_refused(bob, customer):
    caller = caller_of(bob)

    assert caller.put(url(customer), {"photo": "x"}).status_code == 415
    assert caller.put(url(customer), "x", content_type=MULTIPART_CONTENT).status_code == 400
    assert caller.get(f"{url(customer)}?size=huge").status_code == 400


def test_photo_requires_access_to_its_customer(member_of, customer):
    exhibition = make_exhibition()
    make_visit(customer=customer, exhibition=exhibition)
    put_photo(caller_of(member_of("Manager")), customer)
    here, elsewhere = (member_of("Stand staff", place) for place in (exhibition, make_exhibition(edition="2031")))

    assert size_of(caller_of(here).get(url(customer))) == (800, 600)
    assert caller_of(elsewhere).get(url(customer)).status_code == 404
    assert put_photo(caller_of(elsewhere), customer).status_code == 404
    assert put_photo(caller_of(member_of("Read-only")), customer).status_code == 403
    assert caller_of(member_of("Read-only")).delete(url(customer)).status_code == 403
    assert Caller().get(url(customer)).status_code == 401


def test_photo_of_another_version_is_not_overwritten(bob, customer):
    caller = caller_of(bob)
    etag = caller.get(f"/api/v1/customers/{customer.public_id}/")["ETag"]

    assert put_photo(caller, customer, headers={"If-Match": etag}).status_code == 204
    assert put_photo(caller, customer, headers={"If-Match": etag}).status_code == 412
    assert caller.delete(url(customer), headers={"If-Match": etag}).status_code == 412


def test_photo_too_many_can_be_sent_again(bob, customer, monkeypatch):
    monkeypatch.setattr(image, "SLOTS", Semaphore(0))

    response = put_photo(caller_of(bob), customer)

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response["Content-Type"] == "application/problem+json"
    assert "Too many photos" in response.json()["detail"]
    assert Customer.objects.get().photo == ""


@pytest.mark.django_db(transaction=True)
def test_customer_can_be_changed_while_the_photo_waits(bob, customer):
    with ThreadPoolExecutor(1) as pool, open(image.PROGRAM, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answer = pool.submit(put_and_close, caller_of(bob), customer)
        while image.SLOTS._value == 2:
            time.sleep(0.01)
        Customer.objects.update(notes="typed meanwhile")
        fcntl.flock(file, fcntl.LOCK_UN)

        assert answer.result().status_code == 204
    assert (Customer.objects.get().notes, bool(Customer.objects.get().photo)) == ("typed meanwhile", True)


def put_and_close(caller, customer):
    try:
        return put_photo(caller, customer)
    finally:
        connections.close_all()
