from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse
from PIL import Image

from customers.models import Customer
from customers.tests.factories import make_customer, make_exhibition, make_visit
from customers.tests.media import fetch, read_file, write_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(media) -> SimpleUploadedFile:
    pixels = BytesIO()
    Image.new("RGB", (2, 2)).save(pixels, "PNG")
    return SimpleUploadedFile("../../Badge of Ingrid.PNG", pixels.getvalue(), "image/png")


@pytest.mark.parametrize("is_small", [False, True])
def test_photo_is_shown_with_access_to_the_customer(is_small, photo, bob, client_of):
    customer = make_customer(photo=photo)
    name = customer.photo.small_name if is_small else customer.photo.name

    response = client_of(bob).get(reverse("media", args=[name]), secure=True)

    headers, body = fetch(response)
    assert (headers["Content-Type"], body) == ("image/jpeg", read_file(name))


SAME = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


# Of another origin, where scripts of a file reach nothing.
IN_BUCKET = {"Cache-Control": SAME["Cache-Control"]}


def find_status(response) -> int:
    """Follow the link of a bucket."""
    if response.status_code in (200, 302):
        fetch(response)
        return 200
    return int(response.status_code)


@pytest.fixture(params=["", "/protected-media/"])
def accel_url(request, settings) -> str:
    """Both ways: Django sends the file itself, or has nginx send it."""
    settings.MEDIA_ACCEL_URL = request.param
    return str(request.param)


@pytest.mark.parametrize(
    ("name", "kind", "disposition", "quoted"),
    [
        ("badge.png", "image/png", 'inline; filename="badge.png"', "badge.png"),
        ("my badge.JPG", "image/jpeg", 'inline; filename="my badge.JPG"', "my%20badge.JPG"),
        ("100%25.webp", "image/webp", 'inline; filename="100%25.webp"', "100%2525.webp"),
        ("Müller.png", "image/png", "inline; filename*=utf-8''M%C3%BCller.png", "M%C3%BCller.png"),
        ("who?x=1#y.png", "image/png", 'inline; filename="who?x=1#y.png"', "who%3Fx%3D1%23y.png"),
        ("badge.svg", "image/svg+xml", 'attachment; filename="badge.svg"', "badge.svg"),
        ("badge.html", "text/html", 'attachment; filename="badge.html"', "badge.html"),
        ("badge", "application/octet-stream", 'attachment; filename="badge"', "badge"),
    ],
)
def test_file_of_any_name_is_sent_with_the_same_headers(
    name, kind, disposition, quoted, accel_url, photo, bob, client_of, settings
):
    """Such as there were before photos were drawn anew."""
    customer = make_customer(photo=photo)
    write_file(f"photos/{name}", b"a badge")
    Customer.objects.update(photo=f"photos/{name}")
    customer.refresh_from_db()

    response = client_of(bob).get(customer.photo.url, secure=True)

    headers, body = fetch(response)
    expected = (IN_BUCKET if settings.MEDIA_BUCKET else SAME) | {
        "Content-Type": kind,
        "Content-Disposition": disposition,
    }
    assert {header: headers.get(header) for header in expected} == expected
    if accel_url and not settings.MEDIA_BUCKET:
        assert (body, headers["X-Accel-Redirect"]) == (b"", f"/protected-media/photos/{quoted}")
    else:
        assert (body, headers["Content-Length"], headers.get("X-Accel-Redirect")) == (b"a badge", "7", None)


@pytest.mark.usefixtures("accel_url")
def test_photo_whose_file_is_gone_is_not_found(photo, bob, client_of):
    customer = make_customer(photo=photo)
    customer.photo.storage.delete(customer.photo.name)

    response = client_of(bob).get(customer.photo.url, secure=True)

    assert (response.status_code, "X-Accel-Redirect" in response.headers) == (404, False)


@pytest.mark.usefixtures("accel_url")
def test_photo_without_permission_is_refused(photo, charlie, client_of):
    assert client_of(charlie).get(make_customer(photo=photo).photo.url, secure=True).status_code == 403


@pytest.mark.usefixtures("accel_url")
def test_photo_without_login_leads_to_the_login_page(photo, client):
    url = make_customer(photo=photo).photo.url

    assert client.get(url, secure=True).headers["Location"] == f"/admin/login/?next={url}"


@pytest.mark.parametrize(
    "name", ["photos/none.png", f"photos/{'a' * 32}_small.jpg", "../manage.py", "photos/../../manage.py"]
)
def test_name_of_no_photo_is_not_found(name, bob, client_of):
    assert client_of(bob).get(reverse("media", args=[name]), secure=True).status_code == 404


ROLES = [("Administrator", 200), ("Manager", 200), ("Read-only", 200), ("Stand staff", 404)]


@pytest.mark.usefixtures("accel_url")
@pytest.mark.parametrize("is_small", [False, True])
@pytest.mark.parametrize(("role", "status"), ROLES)
def test_photo_is_for_roles_that_see_every_customer(role, status, is_small, photo, member_of, client_of):
    customer = make_customer(photo=photo)
    make_visit(customer=customer)
    elsewhere = make_exhibition(edition="2025")
    url = customer.photo.small_url if is_small else customer.photo.url

    response = client_of(member_of(role, elsewhere)).get(url, secure=True)

    assert find_status(response) == status


@pytest.mark.usefixtures("accel_url")
@pytest.mark.parametrize("is_small", [False, True])
def test_photo_is_for_stand_staff_of_the_exhibition(is_small, photo, member_of, client_of):
    visit = make_visit(customer=make_customer(photo=photo))
    file = visit.customer.photo

    response = client_of(member_of("Stand staff", visit.exhibition)).get(
        file.small_url if is_small else file.url, secure=True
    )

    assert find_status(response) == 200


def test_photo_is_found_by_its_index(photo, bob):
    customer = make_customer(photo=photo)
    Customer.objects.bulk_create(Customer(family_name=f"Haugen {number}") for number in range(500))
    rows = Customer.objects.visible_to(bob).filter(photo=customer.photo.name)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE customers_customer")  # of a single row any index is as good

    assert "customer_by_photo" in rows.explain()
