"""Compares pages and static files through nginx with TLS to Gunicorn with WhiteNoise.

One prod tier; wrk, in a container of its own, asks nginx and Gunicorn in turn, so that both meet the same machine.
"""

import json
import os
import re
import secrets
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.image import copy_checkout, run
from deploy.init import SECRETS

NAME = "crm.test"
ROUNDS, SECONDS, CLIENTS = 5, 5, 16
PROJECT, IMAGE = "exhibition-crm-bench-tiers", "exhibition-crm:bench-tiers"
WRK = "exhibition-crm-bench-wrk"
LOAD_GENERATOR = "FROM debian:trixie-slim\nRUN apt-get update && apt-get install -y --no-install-recommends wrk\n"
PAGE = "/admin/login/"  # the cheapest there is, so the one to which a proxy adds most


class Tier:
    """A prod tier under a separate project name, on other ports."""

    def __init__(self, source: Path) -> None:
        own = {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": "docker-compose.prod.yml",
        }
        own |= {"VERSION": "bench-tiers", "DOMAIN": NAME, "HTTP_PORT": "0", "HTTPS_PORT": "0"}
        own |= {name: secrets.token_urlsafe(48) for name in SECRETS}
        own |= {"FRONTEND_SUBNET": "10.222.1.0/24", "BACKEND_SUBNET": "10.222.2.0/24"}
        self.options = {"cwd": source, "env": dict(os.environ, **own)}

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, **self.options)

    def address(self, service: str) -> str:
        first = self.compose("ps", "-q", service).split()[0]
        networks = run("docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}", first)
        return str(json.loads(networks)[f"{PROJECT}_frontend"]["IPAddress"])

    def static_path(self) -> str:
        """Return the path of the admin's style sheet with its hash."""
        names = self.compose("exec", "-T", "web", "cat", "/app/staticfiles/staticfiles.json")
        return f"/static/{json.loads(names)['paths']['admin/css/base.css']}"


class Visitors:
    """Run wrk in the network of nginx and web."""

    def __init__(self, tier: Tier) -> None:
        self.nginx, self.web = tier.address("nginx"), tier.address("web")

    def through_nginx(self, path: str, *options: str) -> float:
        # Inside the network the port is another than the one that the site is known by.
        return self.requests_per_second(f"https://{NAME}:8443{path}", self.nginx, "-H", f"Host: {NAME}", *options)

    def directly(self, path: str, *options: str) -> float:
        """Send the headers of nginx, so that Django does not redirect."""
        return self.requests_per_second(
            f"http://{NAME}:8000{path}", self.web, "-H", "X-Forwarded-Proto: https", *options
        )

    def requests_per_second(self, url: str, address: str, *options: str) -> float:
        container = ["docker", "run", "--rm", "--network", f"{PROJECT}_frontend"]
        wrk = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", *options, url]
        said = run(*container, "--add-host", f"{NAME}:{address}", WRK, *wrk)
        if failed := re.search(r"Non-2xx.*|Socket errors.*", said):
            raise SystemExit(f"{url}: {failed[0]}")
        rate = re.search(r"Requests/sec: +([\d.]+)", said)
        assert rate, said
        return float(rate[1])


@contextmanager
def running_tier() -> Iterator[Tier]:
    with copy_checkout() as source:
        tier = Tier(source)
        run("docker", "build", "-q", "-t", WRK, "-", input=LOAD_GENERATOR)
        try:
            tier.compose("up", "--build", "--detach", "--wait")
            yield tier
        finally:
            tier.compose("down", "--volumes", "--rmi", "local")
            run("docker", "image", "rm", "--force", IMAGE, WRK)


def measure() -> Iterator[tuple[str, float, float, float]]:
    """Print name, requests per second through nginx and directly, and the bar for their ratio."""
    with running_tier() as tier:
        visitors = Visitors(tier)
        # Both have the file compressed; only nginx would compress a page.
        compressed = ("-H", "Accept-Encoding: gzip")
        for name, asked, bar in (
            ("static file, gzip", (tier.static_path(), *compressed), 10),
            ("page", (PAGE,), 0.8),
        ):
            pairs = [(visitors.through_nginx(*asked), visitors.directly(*asked)) for _ in range(ROUNDS + 1)]
            # The first round warms both up.
            nginx, gunicorn = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
            yield name, nginx, gunicorn, bar


def main() -> None:
    if not shutil.which("docker"):
        raise SystemExit("docker is not installed: make doctor tells what this machine lacks")
    print(f"{CLIENTS} clients, median of {ROUNDS} rounds of {SECONDS} s; requests/s")
    print(f"{'':20} {'nginx, TLS':>12} {'Gunicorn':>12} {'ratio':>8} {'bar':>8}")
    for name, nginx, gunicorn, bar in measure():
        ratio = nginx / gunicorn
        verdict = "met" if ratio >= bar else "MISSED"
        print(f"{name:20} {nginx:12.0f} {gunicorn:12.0f} {ratio:8.2f} {'>= ' + str(bar):>8}  {verdict}")


if __name__ == "__main__":
    main()
