"""Managed servers, a bucket and another front at once."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from e2e import managed, test_bucket
from e2e.deploys import log_in
from e2e.site import Site, ask
from e2e.stack import Stack

server = test_bucket.server  # a fixture
MANAGED, BUCKET = managed.OVERLAY, test_bucket.OVERLAY
SETTINGS = managed.name_servers("managed.test") | {"MANAGED_CA": "/dev/null", "MEDIA_BUCKET": "crm-media"}
CUSTOMER = """
from customers.models import Customer
print(Customer.objects.create(given_name="Ada", email="ada@trade-fair.test", stage="lead", source="stand").public_id)
"""


@pytest.mark.parametrize("overlays", [[MANAGED], [BUCKET], [MANAGED, BUCKET], [BUCKET, MANAGED]])
@pytest.mark.parametrize(("tier", "front"), [("prod", "nginx"), ("caddy", "caddy"), ("staging", "nginx")])
def test_files_fit_together(tier: str, front: str, overlays: list[str], tmp_path: Path, engine: None) -> None:
    files = ":".join([f"docker-compose.{tier}.yml", *overlays])

    services = json.loads(managed.render(tmp_path, **SETTINGS, COMPOSE_FILE=files).stdout)["services"]

    assert services.keys() & {"nginx", "caddy"} == {front}
    bundled = set() if MANAGED in overlays else {"db", "roles", "redis", "broker"}
    assert services.keys() & managed.BUNDLED == bundled
    for name in ("migrate", "celery-certificates", "celery-worker"):
        assert "outside" in services[name]["networks"], f"{name} has no way out"
    assert "check_servers" in services["migrate"]["command"][-1]


@pytest.fixture(scope="module")
def stack(server: None, stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("caddy")
    port = test_bucket.add_bucket(stack)
    managed.add_servers(stack)
    test_bucket.use_bucket(stack)
    stack.compose("up", "--detach", "--no-deps", "s3")
    test_bucket.wait_for_bucket(port)
    stack.make("prod-up")
    stack.create_administrator()
    return stack


def picture() -> bytes:
    content = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(content, "PNG")
    return content.getvalue()


@pytest.mark.full
def test_photo_is_uploaded_and_read_through_its_link(stack: Stack) -> None:
    site = Site("localhost", stack.ports["nginx"])
    session = log_in(site)
    customer = stack.within("web", "python", "manage.py", "shell", "-v0", "-c", CUSTOMER).strip()
    path, cookie = f"/api/v1/customers/{customer}/photo/", {"Cookie": session["cookie"]}
    headers = {"X-CSRFToken": session["token"], "Referer": "https://localhost/"}
    headers["Content-Type"] = "multipart/form-data; boundary=x"
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="ada.png"\r\n\r\n'

    saved = ask(site, "PUT", path, cookie | headers, head + picture() + b"\r\n--x--\r\n")
    read = {method: test_bucket.follow(stack, ask(site, method, path, cookie), method) for method in ("GET", "HEAD")}

    assert saved.status == 204, saved.text
    assert {method: (one.status, one.headers["Content-Type"]) for method, one in read.items()} == {
        "GET": (200, "image/jpeg"),
        "HEAD": (200, "image/jpeg"),
    }
    assert Image.open(BytesIO(read["GET"].body)).size == (40, 30)
    assert (read["HEAD"].headers["Content-Length"], read["HEAD"].body) == (str(len(read["GET"].body)), b"")
    assert not set(stack.compose("ps", "--services").split()) & managed.BUNDLED
    assert stack.within("web", "find", "/app/media", "-type", "f") == ""
