"""What nginx with TLS costs a page and gains a file, beside the same Gunicorn and its WhiteNoise asked directly.

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

from bench.image import copy_of_checkout, run

NAME = "crm.test"
ROUNDS, SECONDS, CLIENTS = 5, 5, 16
PROJECT, IMAGE = "exhibition-crm-bench-tiers", "exhibition-crm:bench-tiers"
WRK = "exhibition-crm-bench-wrk"
LOAD_GENERATOR = "FROM debian:trixie-slim\nRUN apt-get update && apt-get install -y --no-install-recommends wrk\n"
PAGE = "/admin/login/"  # the cheapest there is, so the one to which a proxy adds most


class Tier:
    """A prod tier under a name of its own; its ports are published where nobody looks."""

    def __init__(self, source: Path) -> None:
        own = {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": "docker-compose.prod.yml",
        }
        own |= {"VERSION": "bench-tiers", "DOMAIN": NAME, "HTTP_PORT": "0", "HTTPS_PORT": "0"}
        own |= {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")}
        own |= {"FRONTEND_SUBNET": "10.222.1.0/24", "BACKEND_SUBNET": "10.222.2.0/24"}
        self.options = {"cwd": source, "env": dict(os.environ, **own)}

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, **self.options)

    def address(self, service: str) -> str:
        networks = run(
            "docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}", self.compose("ps", "-q", service)
        )
        return str(json.loads(networks)[f"{PROJECT}_frontend"]["IPAddress"])

    def static_path(self) -> str:
        """The admin's style sheet, by its hashed name."""
        names = self.compose("exec", "-T", "web", "cat", "/app/staticfiles/staticfiles.json")
        return f"/static/{json.loads(names)['paths']['admin/css/base.css']}"


class Visitors:
    """wrk, in the network of nginx and web."""

    def __init__(self, tier: Tier) -> None:
        self.nginx, self.web = tier.address("nginx"), tier.address("web")

    def through_nginx(self, path: str, *options: str) -> float:
        # Inside the network the port is another than the one that the site is known by.
        return self.requests_per_second(f"https://{NAME}:8443{path}", self.nginx, "-H", f"Host: {NAME}", *options)

    def directly(self, path: str, *options: str) -> float:
        """As nginx would ask, so that Django does not redirect."""
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
    with copy_of_checkout() as source:
        tier = Tier(source)
        run("docker", "build", "-q", "-t", WRK, "-", input=LOAD_GENERATOR)
        try:
            tier.compose("up", "--build", "--detach", "--wait")
            yield tier
        finally:
            tier.compose("down", "--volumes", "--rmi", "local")
            run("docker", "image", "rm", "--force", IMAGE, WRK)


def measure() -> Iterator[tuple[str, float, float, float]]:
    """Name, requests a second through nginx and directly, and the bar for their ratio."""
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
