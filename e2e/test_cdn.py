"""A CDN that fetches static files from the tier, as a caching nginx before it, during a deploy."""

from collections.abc import Callable
from hashlib import md5

import pytest
from playwright.sync_api import Browser

from e2e.deploys import STYLE, Deployed
from e2e.site import Site, ask
from e2e.stack import Stack, free_ports

CDN = """
services:
  cdn:
    image: nginx:1.30-trixie
    volumes: ["./cdn.conf:/etc/nginx/conf.d/default.conf:ro"]
    ports: ["127.0.0.1:${CDN_PORT}:8080"]
    networks: [frontend]
"""
# As a CDN that keeps even a 404, unless the answer says otherwise.
CONFIGURATION = """
proxy_cache_path /tmp/cache keys_zone=files:1m;
resolver 127.0.0.11;
server {
    listen 8080;
    location / {
        set $origin nginx;
        proxy_pass https://$origin:8443;
        proxy_ssl_server_name on;
        proxy_ssl_name localhost;
        proxy_set_header Host localhost;
        proxy_cache files;
        proxy_cache_valid any 1h;
        add_header X-Cache $upstream_cache_status always;
    }
}
"""
NEW = "a { color: green }\n"
IMMUTABLE = "max-age=315360000, public, immutable"


@pytest.fixture(scope="module")
def deployed(stack_of: Callable[[str], Stack]) -> Deployed:
    stack = stack_of("prod")
    (port,) = free_ports(1)
    stack.overlay("cdn.yml", CDN)
    (stack.checkout / "cdn.conf").write_text(CONFIGURATION)
    stack.environment |= {"CDN_PORT": str(port), "STATIC_HOST": f"http://127.0.0.1:{port}"}
    return Deployed(stack)


@pytest.mark.full
def test_page_takes_its_files_from_the_cdn(deployed: Deployed, browser_of: Callable[[Site], Browser]) -> None:
    context = browser_of(deployed.site).new_context(ignore_https_errors=True)
    page, loaded, faults = context.new_page(), list[str](), list[str]()
    page.on("requestfinished", lambda request: loaded.append(request.url))
    page.on("requestfailed", lambda request: faults.append(f"{request.url}: {request.failure}"))
    page.on("console", lambda message: faults.append(message.text))

    page.goto("https://localhost/admin/login/", wait_until="networkidle")

    context.close()
    assert faults == []
    origin = deployed.stack.environment["STATIC_HOST"]
    files = [url for url in loaded if "/static/" in url]
    assert len(files) > 3
    assert [url for url in files if not url.startswith(f"{origin}/static/")] == []


@pytest.mark.full
def test_cdn_has_the_files_of_both_versions_after_a_deploy(deployed: Deployed) -> None:
    port = int(deployed.stack.environment["CDN_PORT"])
    old, new = deployed.style(), f"/static/customers/e2e.{md5(NEW.encode()).hexdigest()[:12]}.css"
    early = ask(port, "GET", new)
    deployed.commit({STYLE: NEW})

    deployed.stack.make("prod-deploy")

    assert (early.status, early.headers["Cache-Control"]) == (404, "no-store")
    assert deployed.style() == new
    for path in (old, new):
        answers = [ask(port, "GET", path) for _ in range(2)]
        said = [(one.status, one.headers["Cache-Control"], one.headers["X-Cache"]) for one in answers]
        assert said == [(200, IMMUTABLE, "MISS"), (200, IMMUTABLE, "HIT")], path
