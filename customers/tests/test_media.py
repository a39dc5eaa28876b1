import re
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from customers.models import Customer
from customers.tests.factories import make_customer
from customers.tests.test_admin import visit_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(settings, tmp_path) -> SimpleUploadedFile:
    settings.MEDIA_ROOT = tmp_path
    pixels = BytesIO()
    Image.new("RGB", (2, 2)).save(pixels, "PNG")
    return SimpleUploadedFile("../../Badge of Ingrid.PNG", pixels.getvalue(), "image/png")


def test_photo_is_stored_under_a_name_that_tells_nothing(photo):
    name = make_customer(photo=photo).photo.name

    assert re.fullmatch(r"photos/[0-9a-f]{32}\.png", str(name))


def test_photo_is_shown_to_who_may_see_the_customer(photo, bob, client_of):
    customer = make_customer(photo=photo)

    response = client_of(bob).get(customer.photo.url, secure=True)

    assert response.headers["Content-Type"] == "image/png"
    assert b"".join(response.streaming_content)[:4] == b"\x89PNG"


SAME = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Type": "image/png",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture(params=["", "/protected-media/"])
def accel_url(request, settings) -> str:
    """Both ways: Django sends the file itself, or has nginx send it."""
    settings.MEDIA_ACCEL_URL = request.param
    return str(request.param)


@pytest.mark.parametrize(
    ("name", "disposition", "quoted"),
    [
        ("badge.png", 'inline; filename="badge.png"', "badge.png"),
        ("my badge.png", 'inline; filename="my badge.png"', "my%20badge.png"),
        ("100%25.png", 'inline; filename="100%25.png"', "100%2525.png"),
        ("Müller.png", "inline; filename*=utf-8''M%C3%BCller.png", "M%C3%BCller.png"),
        ("who?x=1#y.png", 'inline; filename="who?x=1#y.png"', "who%3Fx%3D1%23y.png"),
    ],
)
def test_photo_of_any_name_is_sent_with_the_same_headers(
    name, disposition, quoted, accel_url, photo, settings, bob, client_of
):
    customer = make_customer(photo=photo)
    stored = Path(customer.photo.path)
    stored.rename(stored.with_name(name))
    Customer.objects.update(photo=f"photos/{name}")
    customer.refresh_from_db()

    response = client_of(bob).get(customer.photo.url, secure=True)

    expected = SAME | {"Content-Disposition": disposition}
    assert {header: response.headers[header] for header in expected} == expected
    body = stored.with_name(name).read_bytes()
    if accel_url:
        assert (response.content, response.headers["X-Accel-Redirect"]) == (b"", f"/protected-media/photos/{quoted}")
    else:
        assert (b"".join(response.streaming_content), response.headers["Content-Length"]) == (body, str(len(body)))
        assert "X-Accel-Redirect" not in response.headers


@pytest.mark.usefixtures("accel_url")
def test_photo_whose_file_is_gone_is_not_found(photo, bob, client_of):
    customer = make_customer(photo=photo)
    Path(customer.photo.path).unlink()

    response = client_of(bob).get(customer.photo.url, secure=True)

    assert (response.status_code, "X-Accel-Redirect" in response.headers) == (404, False)


@pytest.mark.usefixtures("accel_url")
def test_photo_without_permission_is_refused(photo, charlie, client_of):
    assert client_of(charlie).get(make_customer(photo=photo).photo.url, secure=True).status_code == 403


@pytest.mark.usefixtures("accel_url")
def test_photo_without_login_leads_to_the_login_page(photo, client):
    url = make_customer(photo=photo).photo.url

    assert client.get(url, secure=True).headers["Location"] == f"/admin/login/?next={url}"


@pytest.mark.parametrize("name", ["photos/none.png", "../manage.py", "photos/../../manage.py"])
def test_name_of_no_photo_is_not_found(name, bob, client_of):
    assert client_of(bob).get(reverse("media", args=[name]), secure=True).status_code == 404


def test_upload_that_is_no_image_is_refused(alice, client_of):
    fake = SimpleUploadedFile("badge.png", b"<script>alert(1)</script>", "image/png")
    form = {"family_name": "Haugen", "stage": "lead", "source": "stand", "photo": fake}
    empty = visit_rows() | {"visits-TOTAL_FORMS": "0"}

    response = client_of(alice).post(reverse("admin:customers_customer_add"), form | empty, secure=True)

    assert response.context["adminform"].errors["photo"] == [
        "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
    ]
    assert Customer.objects.count() == 0
