"""Uploaded files in a bucket. e2e/test_bucket.py runs this module and the other tests of files with a real one."""

import os
import re
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse
from PIL import Image

from customers.models import Customer, Download, FileImport
from customers.tests.api import caller_of
from customers.tests.factories import make_customer
from customers.tests.media import list_files, read_file

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
needs_bucket = pytest.mark.skipif(not settings.MEDIA_BUCKET, reason="MEDIA_BUCKET is not set")

NOBODY = "http://127.0.0.1:1"
FORM = {"family_name": "Haugen", "stage": "lead", "source": "stand"}
AWAY = "Photos and files are not available. A change with a file was not saved: try again in some minutes."


def picture() -> SimpleUploadedFile:
    content = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(content, "PNG")
    return SimpleUploadedFile("badge.png", content.getvalue())


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def customer():
    customer = make_customer()
    Customer.objects.update(photo="photos/badge.jpg")
    return customer


@pytest.fixture
def bucket_away(settings) -> None:
    settings.MEDIA_BUCKET = "crm-photos"
    options = {"bucket_name": "crm-photos", "endpoint_url": NOBODY, "access_key": "key", "secret_key": "secret"}
    storage = {"BACKEND": "core_apps.media.bucket.BucketStorage", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"default": storage}
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "core_apps.media.bucket.BucketAwayMiddleware"]


@pytest.mark.usefixtures("bucket_away")
def test_photo_of_a_bucket_that_is_away_is_unavailable(customer, bob, client_of):
    page = client_of(bob).get("/media/photos/badge.jpg", secure=True)
    answer = caller_of(bob).get(f"/api/v1/customers/{customer.public_id}/photo/")

    assert (page.status_code, page.text, page.headers["Retry-After"]) == (503, f"{AWAY}\n", "5")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["detail"] == AWAY


@pytest.mark.usefixtures("bucket_away")
def test_photo_for_a_bucket_that_is_away_is_not_saved(customer, bob, alice, client_of):
    add = reverse("admin:customers_customer_add")
    body = encode_multipart(BOUNDARY, {"photo": picture()})
    url = f"/api/v1/customers/{customer.public_id}/photo/"

    form = client_of(alice).post(add, FORM | {"photo": picture()}, secure=True)
    answer = caller_of(bob).put(url, body, content_type=MULTIPART_CONTENT)

    assert (form.status_code, answer.status_code) == (503, 503)
    assert [str(row.photo) for row in Customer.objects.all()] == ["photos/badge.jpg"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("bucket_away")
def test_rows_are_deleted_without_the_bucket(customer, bob):
    customer.refresh_from_db()
    FileImport.objects.create(owner=bob, file="imports/people.csv")
    Download.objects.create(owner=bob)

    for rows in (Customer.objects, FileImport.objects, Download.objects):
        rows.all().delete()
        assert not rows.exists()


BUCKET = {"MEDIA_BUCKET": "crm-photos", "AWS_REGION": "eu-central-1"}
LOADED = "import sys; print('boto3' in sys.modules)"


@pytest.mark.parametrize(("environment", "loaded"), [({"MEDIA_BUCKET": ""}, "False\n"), (BUCKET, "True\n")])
def test_client_of_buckets_is_loaded_only_with_a_bucket(environment, loaded):
    script = f"from django.core.files.storage import default_storage; default_storage.url('x'); {LOADED}"

    assert manage("shell", "--no-imports", "-c", script, **environment).stdout == loaded


def ask(link: str) -> int:
    try:
        with urlopen(link, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@needs_bucket
def test_file_is_for_the_time_of_its_link_alone(customer, bob, client_of, monkeypatch):
    default_storage.save("photos/badge.jpg", ContentFile(b"a badge"))
    link = client_of(bob).get("/media/photos/badge.jpg", secure=True).headers["Location"]
    monkeypatch.setattr("core_apps.media.bucket.BucketStorage.querystring_expire", 1)
    short = client_of(bob).get("/media/photos/badge.jpg", secure=True).headers["Location"]
    deadline = time.monotonic() + 10
    while ask(short) == 200 and time.monotonic() < deadline:
        time.sleep(0.2)

    expiry = [re.findall(r"[?&]X-Amz-Expires=(\d+)", one) for one in (link, short)]
    assert expiry == [["60"], ["1"]]
    changed = link.replace("image%2Fjpeg", "text%2Fhtml")
    assert [ask(one) for one in (link, short, changed, link.partition("?")[0])] == [200, 403, 403, 403]


@needs_bucket
def test_head_of_a_file_is_answered_as_get_without_the_body(customer, bob, client_of):
    default_storage.save("photos/badge.jpg", ContentFile(b"a badge"))
    link = client_of(bob).head("/media/photos/badge.jpg", secure=True).headers["Location"]

    with urlopen(Request(link, method="HEAD"), timeout=10) as answer:
        said = answer.status, answer.headers["Content-Type"], answer.headers["Content-Length"], answer.read()

    assert said == (200, "image/jpeg", "7", b"")


@needs_bucket
def test_archive_of_several_parts_is_whole():
    contents = [os.urandom(4 * 2**20) for _ in range(4)]
    with default_storage.open("downloads/archive.zip", "wb") as file, ZipFile(file, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.pdf", content)

    archive = ZipFile(BytesIO(read_file("downloads/archive.zip")))

    assert [archive.read(name) for name in archive.namelist()] == contents


WRONG = [
    ({"AWS_ACCESS_KEY_ID": "nobody"}, "AWS_ACCESS_KEY_ID is wrong: "),
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_SECRET_ACCESS_KEY is wrong: "),
    ({"MEDIA_BUCKET": "there-is-none"}, "The specified bucket does not exist"),
    ({"AWS_ENDPOINT_URL": NOBODY}, f'Could not connect to the endpoint URL: "{NOBODY}/'),
]


@needs_bucket
@pytest.mark.parametrize(("environment", "reason"), WRONG)
def test_wrong_setting_of_the_bucket_is_named(environment, reason):
    done = manage("check_servers", **environment)

    assert done.returncode == 1
    assert re.search(f"MEDIA_BUCKET: .*{re.escape(reason)}", done.stderr), done.stderr[-500:]


PUBLIC = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
"Resource": "arn:aws:s3:::%s/*"}]}"""


@needs_bucket
def test_bucket_that_anybody_can_read_is_refused():
    assert manage("check_servers").stdout == "DATABASE_URL, REDIS_URL, BROKER_URL, MEDIA_BUCKET can be reached.\n"
    client = default_storage.connection.meta.client  # type: ignore[attr-defined]
    client.put_bucket_policy(Bucket=settings.MEDIA_BUCKET, Policy=PUBLIC % settings.MEDIA_BUCKET)

    try:
        done = manage("check_servers")
    finally:
        client.delete_bucket_policy(Bucket=settings.MEDIA_BUCKET)

    assert done.returncode == 1
    assert "MEDIA_BUCKET: anybody can read its files: block public access to the bucket" in done.stderr


@pytest.fixture
def thousand(media, settings) -> list[str]:
    """The names of files on the disk."""
    names = [f"photos/{number:032x}.jpg" for number in range(1000)]
    (settings.MEDIA_ROOT / "photos").mkdir(parents=True)
    for name in names:
        (settings.MEDIA_ROOT / name).write_bytes(os.urandom(2000))
    return names


@needs_bucket
@pytest.mark.full
def test_copy_of_a_thousand_files_is_resumed_and_verified(thousand, capsys):
    root, environment = settings.MEDIA_ROOT, os.environ | {"MEDIA_ROOT": str(settings.MEDIA_ROOT)}
    script = (
        "from django.core.files.storage import default_storage as s; from django.core.management import call_command;"
        f"s.location = {default_storage.location!r}; call_command('copy_media', delete=True)"  # type: ignore[attr-defined]
    )
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", script]
    contents = {name: (root / name).read_bytes() for name in thousand}
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    while len(list(root.rglob("*.jpg"))) > 900 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    left = {str(path.relative_to(root)) for path in root.rglob("*.jpg")}
    assert 0 < len(left) <= 900

    call_command("copy_media")
    first = capsys.readouterr().out
    call_command("copy_media", delete=True)

    assert re.fullmatch(rf"{len(left)} files: (\d+ already there, )?\d+ copied(, \d+ already there)?\n", first)
    assert capsys.readouterr().out == f"{len(left)} files: {len(left)} already there\n"
    assert list(root.rglob("*.jpg")) == []
    assert {name: read_file(name) for name in list_files()} == contents


@needs_bucket
def test_file_whose_name_is_another_ones_in_the_bucket_is_kept(media, settings, capsys):
    path = Path(settings.MEDIA_ROOT, "badge.jpg")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"mine")
    default_storage.save("badge.jpg", ContentFile(b"theirs"))

    with pytest.raises(CommandError, match="1 files were not copied"):
        call_command("copy_media", delete=True)

    assert capsys.readouterr().err.startswith("badge.jpg: the bucket has another file of this name.")
    assert (path.read_bytes(), read_file("badge.jpg")) == (b"mine", b"theirs")


def test_copy_without_a_bucket_says_so(settings):
    settings.MEDIA_BUCKET = ""

    with pytest.raises(CommandError, match="MEDIA_BUCKET is not set"):
        call_command("copy_media")
