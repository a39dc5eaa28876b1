"""Uploads: a photo in two sizes or an error message; and when files are deleted."""

import fcntl
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse
from PIL import Image

from core_apps.media.photos import PhotosBusyError, image, read_photo
from customers.models import Customer
from customers.tests.factories import make_customer
from customers.tests.media import list_files, read_file, write_file

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

GPS_INFO, LATITUDE, ORIENTATION, TURNED_LEFT = 0x8825, 2, 0x0112, 6
FORM = {"family_name": "Haugen", "stage": "lead", "source": "stand"}


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def small_image(kind: str = "PNG", **options) -> bytes:
    return encode(Image.new("RGB", (40, 30), "red"), kind, **options)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A file that says so of itself; each chunk is what the specification calls one."""
    header = (b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 6, 0, 0, 0))
    body = (
        struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        for kind, data in (header, *chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def squeezed_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([packer.compress(bytes(2**20)) for _ in range(megabytes)]) + packer.flush()


def webp(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + sides + b"VP8L" + bytes(4)


def jpeg_of_scans(more: int) -> bytes:
    """An ordinary progressive file, with its last scan so many times more."""
    whole = encode(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * more + whole[-2:]


NO_PHOTO = "The file is not a JPEG, PNG or WebP image. Choose another file."
BOMB = "The photo has more than 30 megapixels. Choose a smaller one."
TOO_MANY = "The photo has %s megapixels; a %s may have %s. Choose a smaller one."
TOO_LONG = "The photo is %s by %s pixels; a side may have 16000. Choose a smaller one."
TOO_MANY_SCANS = "The JPEG has 1510 scans; the limit is 50. Save it again, as an ordinary JPEG."
BUSY = "Too many photos are being uploaded at this moment. Wait a few seconds, then choose the photo again."
DAMAGED = "The photo is damaged or incomplete. Choose another file, or save it again."
MOVES = "Animated images are not supported. Choose a still photo."
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (40, 30), "blue")]}
REFUSED = {
    "script called a photo": (b"<script>alert(1)</script>", NO_PHOTO),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', NO_PHOTO),
    "HTML": (b"<!DOCTYPE html><html><body>hello", NO_PHOTO),
    "magic number of a JPEG before a script": (b"\xff\xd8\xff\xe0<script>alert(1)</script>", NO_PHOTO),
    "magic number of a PNG before a script": (b"\x89PNG\r\n\x1a\n<script>alert(1)</script>", NO_PHOTO),
    "magic number of a WebP before a script": (b"RIFF\x20\0\0\0WEBPVP8 <script>alert(1)</script>", NO_PHOTO),
    "GIF with a script in it": (small_image("GIF") + b"<script>alert(1)</script>", NO_PHOTO),
    "TIFF": (small_image("TIFF"), NO_PHOTO),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", NO_PHOTO),
    "no bytes": (b"", "The submitted file is empty."),
    "one byte": (b"\xff", NO_PHOTO),
    "17 megapixels": (png(4250, 4000, (b"IDAT", squeezed_zeros(1))), TOO_MANY % ("17.0", "PNG", 16)),
    "100 megapixels": (png(10_000, 10_000, (b"IDAT", squeezed_zeros(1))), BOMB),
    "31 megapixels of JPEG": (encode(Image.new("L", (6200, 5000)), "JPEG"), TOO_MANY % ("31.0", "JPEG", 30)),
    "29 megapixels of WebP": (encode(Image.new("L", (5800, 5000)), "WEBP", method=0), TOO_MANY % ("29.0", "WEBP", 16)),
    "4,294 megapixels": (png(65_535, 65_535, (b"IDAT", squeezed_zeros(1))), BOMB),
    "268 megapixels of WebP": (webp(16_383, 16_383), BOMB),
    "30 megapixels in one column": (png(1, 30_000_000, (b"IDAT", squeezed_zeros(1))), TOO_LONG % (1, 30_000_000)),
    "1,510 scans": (jpeg_of_scans(1500), TOO_MANY_SCANS),
    "bomb in a comment": (png(1, 1, (b"zTXt", b"a\0\0" + squeezed_zeros(200))), NO_PHOTO),
    "bomb in a colour profile": (png(1, 1, (b"iCCP", b"a\0\0" + squeezed_zeros(200))), NO_PHOTO),
    "pixels that are none": (png(10, 10, (b"IDAT", b"nothing")), DAMAGED),
    "half a JPEG": ((whole := encode(Image.effect_noise((900, 900), 50), "JPEG"))[: len(whole) // 2], DAMAGED),
    "half a PNG": ((whole := encode(Image.effect_noise((900, 900), 50), "PNG"))[: len(whole) // 2], DAMAGED),
    "moving PNG": (small_image("PNG", **FRAMES), MOVES),
    "moving WebP": (small_image("WEBP", **FRAMES), MOVES),
    "11 MB": (
        small_image() + bytes(11 * 2**20),
        "The file is 11.0 MB; the limit is 10 MB. Choose a smaller file.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_upload_that_is_not_a_valid_photo_is_refused_and_not_stored(what, alice, client_of):
    content, message = REFUSED[what]
    upload = SimpleUploadedFile("badge.jpg", content, "image/jpeg")
    client, start = client_of(alice), time.process_time()

    response = client.post(reverse("admin:customers_customer_add"), FORM | {"photo": upload}, secure=True)

    assert time.process_time() - start < 2
    assert list(response.context["adminform"].errors["photo"]) == [message]
    assert (Customer.objects.count(), list_files()) == (0, [])


GROWTH = """
import resource, sys
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from core_apps.media.photos.image import read_photo
settings.configure()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
upload = SimpleUploadedFile("badge.jpg", sys.stdin.buffer.read())
Image.init()
before = peak()
try:
    read_photo(upload)
except ValidationError:
    pass
print(peak() - before)
"""


def megabytes_for(content: bytes) -> float:
    """By which a process grows that reads the upload."""
    command = [sys.executable, "-W", "ignore", "-c", GROWTH]
    return float(subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("what", [name for name in REFUSED if "mega" in name or "bomb" in name or "scans" in name])
def test_refused_upload_takes_no_memory(what):
    megabytes = megabytes_for(REFUSED[what][0])

    print(f"{what}: refused with {megabytes:.0f} MB")
    assert megabytes < 20


LARGEST = {
    "JPEG": ("RGB", (6000, 5000), {}),
    "progressive JPEG": ("CMYK", (6000, 5000), {"progressive": True}),
    "PNG": ("RGBA", (4000, 4000), {}),
    "PNG with a palette": ("P", (4000, 4000), {}),
    "WEBP": ("RGBA", (4000, 4000), {}),
}


@pytest.mark.parametrize("what", LARGEST)
def test_largest_photo_is_taken_within_the_limits(what):
    mode, size, options = LARGEST[what]
    content = encode(Image.new(mode, size), "JPEG" if "JPEG" in what else what.split()[0], **options)

    photo = read_photo(SimpleUploadedFile("badge.jpg", content))

    assert (max(Image.open(photo.file).size), max(Image.open(photo.small).size)) == (1600, 160)
    assert megabytes_for(content) < 20


@pytest.mark.parametrize("content", [png(1, 30_000_000, (b"IDAT", squeezed_zeros(60))), jpeg_of_scans(1500)])
def test_photo_that_takes_too_much_to_decode_ends_its_process(content, monkeypatch):
    monkeypatch.setattr(image, "check_header", lambda *_: None)
    monkeypatch.setattr(image, "MAX_RUN", 1)

    with pytest.raises(ValidationError, match="takes too much time or memory"):
        read_photo(SimpleUploadedFile("badge.jpg", content))


@pytest.fixture
def no_slot() -> Iterator[None]:
    """Other threads of this process have photos re-encoded, or wait for it."""
    taken = 0
    while image.SLOTS.acquire(blocking=False):
        taken += 1
    yield
    image.SLOTS.release(taken)


def test_photo_too_many_keeps_what_was_typed(no_slot, alice, client_of):
    form = FORM | {"photo": SimpleUploadedFile("badge.png", small_image())}

    response = client_of(alice).post(reverse("admin:customers_customer_add"), form, secure=True)

    assert list(response.context["adminform"].errors["photo"]) == [BUSY]
    assert response.context["adminform"].form["family_name"].value() == "Haugen"


@contextmanager
def another_process_at_work() -> Iterator[None]:
    with open(image.PROGRAM, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_photo_that_waits_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(image, "MAX_WAIT", 0.2)

    with another_process_at_work(), pytest.raises(PhotosBusyError):
        read_photo(SimpleUploadedFile("badge.png", small_image()))

    read_photo(SimpleUploadedFile("badge.png", small_image()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO"])
def test_photo_is_kept_as_a_jpeg_and_a_thumbnail(kind, alice, client_of):
    options = {"save_all": True, "append_images": [Image.new("RGB", (20, 10))]} if kind == "MPO" else {}
    picture = encode(Image.new("RGB", (2000, 1000), "red"), kind, **options)
    upload = SimpleUploadedFile("Badge of Ingrid.html", picture)

    client_of(alice).post(reverse("admin:customers_customer_add"), FORM | {"photo": upload}, secure=True)

    name = str(Customer.objects.get().photo)
    assert re.fullmatch(r"photos/[0-9a-f]{32}\.jpg", name)
    assert list_files() == [name, name.replace(".jpg", "_small.jpg")]
    images = [Image.open(BytesIO(read_file(name))) for name in list_files()]
    assert [(image.format, image.size) for image in images] == [("JPEG", (1600, 800)), ("JPEG", (160, 80))]


def raw_form(filename: bytes) -> bytes:
    fields = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in FORM.items()
    )
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="' + filename + b'"\r\n\r\n'
    return fields.encode() + head + small_image() + b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    "filename",
    [b"../../../badge.png", b"..\\..\\badge.png", b"/etc/passwd", b"badge.png\0.html", b"b\0adge", b"a" * 300, b".png"],
)
def test_name_of_an_upload_leads_nowhere(filename, alice, client_of, settings, tmp_path):
    form = {"content_type": "multipart/form-data; boundary=x", "secure": True}

    client_of(alice).generic("POST", reverse("admin:customers_customer_add"), raw_form(filename), **form)

    photo = Customer.objects.get().photo
    assert re.fullmatch(r"photos/[0-9a-f]{32}\.jpg", str(photo))
    assert list_files() == photo.names
    assert all(path.is_relative_to(settings.MEDIA_ROOT) for path in tmp_path.rglob("*.*"))


def taken_at_a_place() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_LEFT
    exif[GPS_INFO] = {LATITUDE: (52.0, 31.0, 12.0)}
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    return encode(picture, "JPEG", exif=exif, comment=b"at home", xmp=b"<x:xmpmeta>home</x:xmpmeta>", quality=95)


def test_photo_is_kept_upright_and_without_the_place_where_it_was_taken():
    taken = taken_at_a_place()
    assert Image.open(BytesIO(taken)).getexif().get_ifd(GPS_INFO) == {LATITUDE: (52.0, 31.0, 12.0)}

    photo = read_photo(SimpleUploadedFile("badge.jpg", taken + b"PK\x03\x04<script>alert(1)</script>"))

    large, small = Image.open(photo.file), Image.open(photo.small)
    assert (large.size, small.size) == ((20, 40), (20, 40))
    assert [red > 128 for red in large.resize((1, 2)).getchannel("R").tobytes()] == [True, False]
    assert [dict(image.getexif()) for image in (large, small)] == [{}, {}]
    assert [set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"} for image in (large, small)] == [
        {"progressive", "progression"},
        {"progressive", "progression"},
    ]
    stored = photo.open().read() + photo.small.open().read()
    assert [secret for secret in (b"home", b"Exif", b"script", b"PK") if secret in stored] == []


def test_transparent_photo_is_drawn_on_white():
    photo = read_photo(SimpleUploadedFile("badge.png", encode(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG")))

    assert Image.open(photo.file).getpixel((4, 4)) == (255, 255, 255)


@pytest.fixture
def customer(django_capture_on_commit_callbacks) -> Customer:
    with django_capture_on_commit_callbacks(execute=True):
        return make_customer(photo=SimpleUploadedFile("badge.png", small_image()))


def test_photo_that_is_replaced_is_deleted(customer, alice, client_of, django_capture_on_commit_callbacks):
    page = reverse("admin:customers_customer_change", args=[customer.pk])
    upload = SimpleUploadedFile("newer.png", small_image())

    with django_capture_on_commit_callbacks(execute=True):
        client_of(alice).post(page, FORM | {"photo": upload}, secure=True)

    before, customer = customer.photo, Customer.objects.get()
    assert list_files() == customer.photo.names != before.names


def test_photo_that_is_cleared_is_deleted(customer, alice, client_of, django_capture_on_commit_callbacks):
    page = reverse("admin:customers_customer_change", args=[customer.pk])

    with django_capture_on_commit_callbacks(execute=True):
        client_of(alice).post(page, FORM | {"photo-clear": "on"}, secure=True)

    assert (Customer.objects.get().photo.name, list_files()) == ("", [])


def test_photo_stays_where_another_field_changes(customer, alice, client_of):
    page = reverse("admin:customers_customer_change", args=[customer.pk])

    client_of(alice).post(page, FORM | {"family_name": "Brandt"}, secure=True)

    changed = Customer.objects.get()
    assert (changed.family_name, changed.photo) == ("Brandt", customer.photo)
    assert list_files() == customer.photo.names


def test_photo_is_deleted_with_its_customer(customer, alice, client_of, django_capture_on_commit_callbacks):
    page = reverse("admin:customers_customer_delete", args=[customer.pk])

    with django_capture_on_commit_callbacks(execute=True):
        client_of(alice).post(page, {"post": "yes"}, secure=True)

    assert (Customer.objects.count(), list_files()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_photos_are_deleted_with_a_queryset_of_customers_once_that_is_committed():
    for number in range(3):
        make_customer(email=f"{number}@x.example", photo=SimpleUploadedFile("badge.png", small_image()))

    with transaction.atomic():
        Customer.objects.all().delete()
        assert len(list_files()) == 6

    assert list_files() == []


def fail_after(work: Callable[[], object]) -> None:
    with transaction.atomic():
        work()
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_photo_stays_where_its_deletion_is_rolled_back():
    customer = make_customer(photo=SimpleUploadedFile("badge.png", small_image()))

    with pytest.raises(ZeroDivisionError):
        fail_after(customer.delete)

    assert list_files() == Customer.objects.get().photo.names


@pytest.mark.django_db(transaction=True)
def test_row_that_cannot_be_saved_leaves_no_file():
    with pytest.raises(IntegrityError):
        make_customer(stage="won", photo=SimpleUploadedFile("badge.png", small_image()))

    assert list_files() == []


@pytest.mark.django_db(transaction=True)
def test_row_that_is_rolled_back_later_leaves_no_file():
    def add_a_customer() -> None:
        make_customer(photo=SimpleUploadedFile("badge.png", small_image()))
        assert len(list_files()) == 2

    with pytest.raises(ZeroDivisionError):
        fail_after(add_a_customer)

    assert list_files() == []


@pytest.mark.django_db(transaction=True)
def test_disk_that_fails_leaves_no_row_and_no_file(settings):
    if settings.MEDIA_BUCKET:
        pytest.skip("about a volume; test_bucket.py tests a bucket that is away")
    write_file("photos", b"a file where the directory should be")

    with pytest.raises(FileExistsError):
        make_customer(photo=SimpleUploadedFile("badge.png", small_image()))

    assert (Customer.objects.count(), list_files()) == (0, ["photos"])


def test_form_shows_the_photo_and_asks_for_types_that_are_taken(customer, alice, client_of):
    page = reverse("admin:customers_customer_change", args=[customer.pk])

    text = client_of(alice).get(page, secure=True).content.decode()

    assert f'<a href="/media/{customer.photo.name}"><img src="/media/{customer.photo.small_name}"' in text
    assert 'alt="Photo of Ingrid Haugen"' in text
    assert 'accept="image/jpeg,image/png,image/webp"' in text
