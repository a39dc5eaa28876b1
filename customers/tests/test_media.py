import re
from io import BytesIO

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


def test_photo_without_permission_is_refused(photo, charlie, client_of):
    assert client_of(charlie).get(make_customer(photo=photo).photo.url, secure=True).status_code == 403


def test_photo_without_login_leads_to_the_login_page(photo, client):
    url = make_customer(photo=photo).photo.url

    assert client.get(url, secure=True).headers["Location"] == f"/admin/login/?next={url}"


@pytest.mark.parametrize("name", ["photos/none.png", "../manage.py", "photos/../../manage.py"])
def test_name_of_no_photo_is_not_found(name, bob, client_of):
    assert client_of(bob).get(reverse("media", args=[name]), secure=True).status_code == 404


def test_photo_whose_file_is_gone_is_not_found(photo, bob, client_of):
    customer = make_customer(photo=photo)
    customer.photo.storage.delete(str(customer.photo.name))

    assert client_of(bob).get(customer.photo.url, secure=True).status_code == 404


def test_upload_that_is_no_image_is_refused(alice, client_of):
    fake = SimpleUploadedFile("badge.png", b"<script>alert(1)</script>", "image/png")
    form = {"family_name": "Haugen", "stage": "lead", "source": "stand", "photo": fake}
    empty = visit_rows() | {"visits-TOTAL_FORMS": "0"}

    response = client_of(alice).post(reverse("admin:customers_customer_add"), form | empty, secure=True)

    assert response.context["adminform"].errors["photo"] == [
        "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
    ]
    assert Customer.objects.count() == 0
