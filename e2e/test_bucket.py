"""Uploaded files in a bucket of a real S3 server, which checks signatures and expiry."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from e2e.checkout import SOURCE
from e2e.site import Answer, Site, ask
from e2e.stack import Stack, docker, free_ports, seconds_until

OVERLAY = "docker/compose/bucket.yml"
IMAGE = "chrislusf/seaweedfs:4.48"
COMMAND = ["mini", "-dir=/data", "-bucket=crm-media", "-admin.ui=false"]
KEY = {"AWS_ACCESS_KEY_ID": "crm", "AWS_SECRET_ACCESS_KEY": secrets.token_hex()}
SUITE = ("media", "photos", "api_photos", "downloads", "file_import", "certificates", "bucket")


@pytest.fixture(scope="module")
def server(engine: None) -> None:
    if not docker("image", "ls", "--quiet", IMAGE) and "CI" not in os.environ:
        pytest.skip(f"{IMAGE} is not here: docker pull {IMAGE}")


@pytest.fixture(scope="module")
def bucket(server: None) -> Iterator[dict[str, str]]:
    """The settings of an empty bucket."""
    name, (port,) = f"e2e-bucket-{secrets.token_hex(3)}", free_ports(1)
    key = [option for pair in KEY.items() for option in ("--env", "=".join(pair))]
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8333", *key, IMAGE, *COMMAND)
    try:
        wait_for_bucket(port)
        yield KEY | {"MEDIA_BUCKET": "crm-media", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    finally:
        docker("rm", "--force", "--volumes", name)


def wait_for_bucket(port: int) -> None:
    """Until it refuses somebody without a key."""

    def refuses() -> bool:
        try:
            return ask(port, "GET", "/crm-media/x").status == 403
        except OSError:
            return False

    seconds_until(refuses, 60)


def run_tests(bucket: dict[str, str], *options: str) -> str:
    """Run tests of uploaded files with the bucket, and return the summary."""
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=SOURCE, env=os.environ | bucket, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.splitlines()[-1]


def test_photos_are_in_a_bucket_for_those_who_may_see_them(bucket: dict[str, str]) -> None:
    files = [f"customers/tests/test_{name}.py" for name in ("api_photos", "bucket")]

    said = run_tests(bucket, "-m", "not full", *files)

    print(said)
    assert re.match(r"\d+ passed in ", said)


@pytest.mark.full
def test_whole_suite_of_files_passes_with_a_bucket(bucket: dict[str, str]) -> None:
    said = run_tests(bucket, *(f"customers/tests/test_{name}.py" for name in SUITE))

    print(said)
    assert re.match(r"\d+ passed, 1 skipped in ", said)  # the disk that fails


SERVER = f"""
services:
  s3:
    image: {IMAGE}
    command: {json.dumps(COMMAND)}
    environment: {json.dumps(KEY)}
    ports: ["127.0.0.1:${{S3_PORT}}:8333"]
    networks: [frontend, outside]
"""
# On the volume, before there is a bucket. Prints the administrator's session, the key of a visit, and the photo's name.
FILL = """
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test import Client
from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, Visit
client = Client()
client.force_login(User.objects.create_superuser("alice@trade-fair.test", "correct horse battery", name="Alice"))
photo = FileSystemStorage().save("photos/ada.png", ContentFile(b"a photo of Ada"))
ada = Customer.objects.create(given_name="Ada", family_name="Lovelace", email="ada@trade-fair.test", photo=photo)
dates = {"starts_on": "2026-03-10", "ends_on": "2026-03-12", "time_zone": "Europe/Berlin"}
fair = Exhibition.objects.create(name="Harbour Fair", edition="2026", **dates)
visit = Visit.objects.create(customer=ada, exhibition=fair, visited_at="2026-03-11T09:30Z", grade="A")
print(client.cookies["sessionid"].value, visit.pk, visit.customer.public_id, photo)
"""
PHOTOS = "from customers.models import Customer as C; print([str(c.photo) for c in C.objects.all()])"


class Tier:
    """A prod tier with a bucket, to which a photo of the volume was copied."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.site = stack, Site("localhost", stack.ports["nginx"])
        self.session, self.visit, self.customer, self.photo = self.python(FILL).split()

    def python(self, script: str) -> str:
        return self.stack.within("web", "python", "manage.py", "shell", "--no-imports", "-c", script).strip()

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return ask(self.site, method, path, {"Cookie": f"sessionid={self.session}"} | headers)

    def follow(self, answer: Answer) -> Answer:
        return follow(self.stack, answer)


def follow(stack: Stack, answer: Answer, method: str = "GET") -> Answer:
    """Ask the bucket under the name that the tier knows it by."""
    link = urlsplit(answer.headers["Location"])
    return ask(int(stack.environment["S3_PORT"]), method, f"{link.path}?{link.query}", {"Host": link.netloc})


def add_bucket(stack: Stack) -> int:
    """Add a server to the tier, not started, and return its port."""
    (port,) = free_ports(1)
    stack.environment |= {"S3_PORT": str(port)}
    stack.overlay("s3.yml", SERVER)
    return port


def use_bucket(stack: Stack) -> None:
    stack.environment["COMPOSE_FILE"] += f":{OVERLAY}"
    stack.environment |= KEY | {"MEDIA_BUCKET": "crm-media", "AWS_ENDPOINT_URL": "http://s3:8333"}


@pytest.fixture(scope="module")
def tier(server: None, stack_of: Callable[[str], Stack]) -> Tier:
    stack = stack_of("prod")
    port = add_bucket(stack)
    stack.make("prod-up")
    tier = Tier(stack)
    use_bucket(stack)
    wait_for_bucket(port)
    said = stack.compose("run", "--rm", "--no-deps", "-T", "web", "python", "manage.py", "copy_media", "--delete")
    assert said.strip().endswith("1 files: 1 copied")
    stack.make("prod-up")
    return tier


@contextmanager
def stopped(stack: Stack, service: str) -> Iterator[None]:
    stack.compose("stop", "--timeout", "1", service)
    try:
        yield
    finally:
        stack.compose("start", service)


@pytest.mark.full
def test_tier_sends_visitors_to_the_bucket(tier: Tier) -> None:
    answer = tier.ask(f"/media/{tier.photo}")
    followed = tier.follow(answer)

    assert (answer.status, answer.headers["Cache-Control"]) == (302, "private, max-age=30")
    assert "img-src 'self' http://s3:8333;" in f"{tier.ask('/admin/').headers['Content-Security-Policy']};"
    assert (followed.status, followed.body, followed.headers["Content-Type"]) == (200, b"a photo of Ada", "image/png")
    assert tier.stack.within("web", "find", "/app/media", "-type", "f") == ""


@pytest.mark.full
def test_certificate_is_made_into_the_bucket(tier: Tier) -> None:
    add = tier.ask(f"/admin/customers/visit/{tier.visit}/change/").headers.get_all("Set-Cookie") or []
    (token,) = re.findall(r"csrftoken=(\w+)", " ".join(add))
    cookie, form = f"sessionid={tier.session}; csrftoken={token}", f"csrfmiddlewaretoken={token}"
    headers = {"Cookie": cookie, "Referer": "https://localhost/", "Content-Type": "application/x-www-form-urlencoded"}
    path = f"/admin/customers/visit/{tier.visit}/certificate/"
    progress = ask(tier.site, "POST", path, headers, form).headers["Location"]
    file = progress.replace("change", "file")

    seconds_until(lambda: tier.ask(file).status == 302, 60)

    assert tier.follow(tier.ask(file)).body.startswith(b"%PDF-")


@pytest.mark.full
def test_backup_and_drill_leave_the_bucket_out(tier: Tier) -> None:
    assert "0 media files" in tier.stack.make("prod-backup")
    assert "match the backup" in tier.stack.make("prod-restore-drill")


@pytest.mark.full
def test_bucket_that_stops_is_explained_and_nothing_is_half_written(tier: Tier) -> None:
    before = tier.python(PHOTOS)
    with stopped(tier.stack, "s3"):
        started = time.monotonic()
        page, answer = tier.ask(f"/media/{tier.photo}"), tier.ask(f"/api/v1/customers/{tier.customer}/photo/")
        seconds = time.monotonic() - started
        assert (page.status, answer.status, answer.headers["Content-Type"]) == (503, 503, "application/problem+json")
        assert tier.ask("/api/v1/ready/").status == tier.ask("/admin/customers/customer/").status == 200
        refused = tier.python(UPLOAD.format(customer=tier.customer, session=tier.session))
        assert (refused.splitlines()[-1], tier.python(PHOTOS)) == ("503", before)
    print(f"two answers after {seconds:.1f} s")
    seconds_until(lambda: tier.ask(f"/media/{tier.photo}").status == 302, 30)


UPLOAD = """
from io import BytesIO
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from PIL import Image
content = BytesIO()
Image.new("RGB", (40, 30)).save(content, "PNG")
client = Client(headers={{"Host": "localhost"}})
client.cookies["sessionid"] = "{session}"
body = encode_multipart(BOUNDARY, {{"photo": SimpleUploadedFile("a.png", content.getvalue())}})
url = "/api/v1/customers/{customer}/photo/"
print(client.put(url, body, content_type=MULTIPART_CONTENT, secure=True).status_code)
"""
