"""A separate tier on the engine: own clone, project name, ports, image tag and volumes."""

import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.checkout import KEPT, SOURCE
from e2e.site import Answer, ask

# How the engine is reached is the machine's as well.
ENGINE = re.compile(KEPT.pattern + r"|HOME|DOCKER_.*|XDG_RUNTIME_DIR")
FILES = {"basic": "docker-compose.yml"}
FILES |= {tier: f"docker-compose.{tier}.yml" for tier in ("dev", "prod", "caddy", "staging", "observability")}
PORTS = {
    "basic": {"web": "WEB_PORT", "db": "DB_PORT"},
    "dev": {name: f"DEV_{name.upper()}_PORT" for name in ("web", "db", "redis", "adminer", "mock")},
    "prod": {"http": "HTTP_PORT", "nginx": "HTTPS_PORT"},
    "observability": {name: f"{name.upper()}_PORT" for name in ("prometheus", "grafana")},
}
PORTS["caddy"] = PORTS["staging"] = PORTS["prod"]
ON_A_SERVER = ("prod", "caddy", "staging")
LABEL = "com.docker.compose.project"
DATABASE = "exhibition"  # and its role, in the basic and the prod tier
ADMINISTRATOR, PASSWORD = "alice@example.com", "correct horse battery"
MAKE_SECONDS = 300
LOG_LINES = 40
# An overlay: what a first start on a slow disk, or a recovery, looks like from outside.
SLOW_DATABASE = """
services:
  db:
    entrypoint: [sh, -c, 'sleep 30; exec docker-entrypoint.sh "$$0" "$$@"']
    command: [postgres]
"""
LOG_OPTIONS = {"max-file": "5", "max-size": "10m", "tag": "{{.Name}} {{.ImageName}}"}
# What every container has in common, as the engine tells it.
BOUNDED = {
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "CapAdd": None,
    "SecurityOpt": ["no-new-privileges:true"],
    "PidsLimit": 100,
    "LogConfig": {"Type": "json-file", "Config": LOG_OPTIONS},
    "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
}
ONCE = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}
# And what some of them have instead.
BOUNDED_OTHERWISE: dict[str, dict[str, Any]] = {"db": {"PidsLimit": 250}, "migrate": ONCE, "roles": ONCE}


@dataclass
class Stack:
    tier: str
    checkout: Path
    project: str
    ports: dict[str, int]
    environment: dict[str, str]
    # Of whoever runs make and docker here; empty for the person who runs the tests.
    credentials: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    @property
    def front(self) -> str:
        """Return the service in front of web."""
        return "caddy" if self.tier == "caddy" else "nginx"

    @property
    def env_file(self) -> Path:
        """Return that of a tier on a server."""
        return self.checkout / self.environment["COMPOSE_ENV_FILES"]

    def overlay(self, name: str, text: str) -> None:
        """Merge a further compose file into the tier's, for make as well as for docker compose."""
        (self.checkout / name).write_text(text)
        self.environment["COMPOSE_FILE"] += f":{name}"

    def make(self, *arguments: str, fails: bool = False) -> str:
        # The Makefile names the tier's file; overlays are known to the environment alone.
        overlaid = ["DEV=docker compose", "PROD=docker compose"] if ":" in self.environment["COMPOSE_FILE"] else []
        own = self.tier if self.tier in ON_A_SERVER else "prod"
        targets = [re.sub("^prod-", f"{own}-", one) for one in arguments]
        return self.run("make", *overlaid, *targets, fails=fails)

    def compose(self, *arguments: str, fails: bool = False) -> str:
        return self.run("docker", "compose", *arguments, fails=fails)

    def within(self, service: str, *command: str, fails: bool = False) -> str:
        """Run a command in a running container of the service."""
        return self.compose("exec", "-T", service, *command, fails=fails)

    def run(self, *command: str, fails: bool = False) -> str:
        """Run the command without a terminal, and return its output."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MAKE_SECONDS,
            **self.credentials,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def configure(self, settings: str) -> None:
        """Generate the env file of a tier on a server, and append these lines."""
        self.make("prod-env")
        with self.env_file.open("a") as file:
            file.write(settings)

    def create_administrator(self) -> None:
        given = ["-e", f"DJANGO_SUPERUSER_EMAIL={ADMINISTRATOR}", "-e", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}"]
        self.compose("exec", "-T", *given, "web", "python", "manage.py", "createsuperuser", "--noinput")

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--all", "--quiet", "--no-trunc", service).split()

    def container(self, service: str) -> str:
        (only,) = self.containers(service)
        return only

    def children(self, service: str, process: int = 1) -> list[int]:
        """Return PIDs in the container's namespace."""
        found = self.within(service, "cat", f"/proc/{process}/task/{process}/children")
        return [int(number) for number in found.split()]

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.container(service)))[0]
        return found

    def address(self, service: str, network: str) -> str:
        return str(self.inspect(service)["NetworkSettings"]["Networks"][f"{self.project}_{network}"]["IPAddress"])

    def bounds(self, service: str) -> dict[str, Any]:
        """Return the limits named by BOUNDED, after checking those of memory and CPUs."""
        host = self.inspect(service)["HostConfig"]
        assert 128 * 2**20 <= host["Memory"] <= 2**30
        assert 0 < host["NanoCpus"] <= 2 * 10**9
        return {name: host[name] for name in BOUNDED}

    def list_published(self) -> dict[str, str]:
        """Addresses on this machine, by the service's own port: {"web:8000/tcp": "127.0.0.1:8000"}."""
        found: dict[str, str] = {}
        for service in self.compose("ps", "--services").split():
            for inner, outer in self.inspect(service)["NetworkSettings"]["Ports"].items():
                found |= {f"{service}:{inner}": f"{at['HostIp']}:{at['HostPort']}" for at in outer or ()}
        return found

    def health(self, service: str) -> str:
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def wait_to_be(self, health: str, service: str, limit: float = 30) -> float:
        return seconds_until(lambda: self.health(service) == health, limit)

    def signal(self, service: str, name: str) -> None:
        docker("kill", "--signal", name, self.container(service))

    @contextmanager
    def paused(self, service: str) -> Iterator[None]:
        """Pause the service: it keeps its connections but does not respond."""
        docker("pause", self.container(service))
        try:
            yield
        finally:
            docker("unpause", self.container(service))

    def get(self, path: str, headers: dict[str, str] | None = None, service: str = "web") -> Answer:
        return ask(self.ports[service], "GET", path, headers)

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", "--timestamps", *services)

    def keep_logs(self, file: Path) -> str:
        """Write all logs to the file, and return the last lines of each container."""
        last = []
        with file.open("w") as kept:
            for container in self.list_resources("container"):
                name = docker("inspect", "--format", "{{.Name}}", container)
                lines = self.run("docker", "logs", "--timestamps", container).splitlines(keepends=True)
                kept.writelines([f"{name}\n", *lines])
                last += [f"{name}\n", *lines[-LOG_LINES:]]
        return "".join(last)

    def hand_over(self, user: str) -> None:
        """Let an ordinary user own the checkout and run make; needs root."""
        account, home = pwd.getpwnam(user), self.checkout.parent / "home"
        home.mkdir()
        for path in (home, self.checkout, *self.checkout.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        groups = [Path("/var/run/docker.sock").stat().st_gid]
        self.credentials = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
        self.environment["HOME"] = str(home)

    def remove(self) -> None:
        remove_project(self.project)
        shutil.rmtree(self.checkout.parent)

    def list_resources(self, kind: str) -> list[str]:
        return list_resources(kind, self.project)

    @property
    def image(self) -> str:
        """Return the application's image."""
        return f"exhibition-crm{'-dev' if self.tier == 'dev' else ''}:{self.project}"


def new_stack(tier: str, directory: Path) -> Stack:
    """Clone the committed files into the directory, without starting anything."""
    subprocess.run(["git", "clone", "-q", str(SOURCE), str(directory / "checkout")], check=True)
    project = f"e2e-{tier}-{secrets.token_hex(3)}"
    ports = dict(zip(PORTS[tier], free_ports(len(PORTS[tier])), strict=True))
    environment = bare_environment() | {variable: str(ports[service]) for service, variable in PORTS[tier].items()}
    environment |= {"COMPOSE_PROJECT_NAME": project, "COMPOSE_FILE": FILES[tier], "COMPOSE_ANSI": "never"}
    if tier in ON_A_SERVER:
        environment |= pick_subnets()
    if tier in (*ON_A_SERVER, "observability"):
        environment |= {"COMPOSE_ENV_FILES": f".envs/{'staging/.env' if tier == 'staging' else '.env.production'}"}
    return Stack(tier, directory / "checkout", project, ports, environment | {"VERSION": project})


def pick_subnets() -> dict[str, str]:
    first, second = secrets.randbelow(100), secrets.randbelow(250)
    return {"FRONTEND_SUBNET": f"10.{first + 100}.{second}.0/24", "BACKEND_SUBNET": f"10.{first}.{second}.0/24"}


def bare_environment() -> dict[str, str]:
    """Return what reaching the engine takes, without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if name == "PATH" or ENGINE.fullmatch(name)}


def free_ports(count: int) -> list[int]:
    """Return consecutive free ports, as a service with several replicas needs."""
    while True:
        # Below those that the kernel gives to outgoing connections.
        first = secrets.choice(range(20_000, 32_000))
        ports = list(range(first, first + count))
        if all(map(is_free, ports)):
            return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def remove_project(project: str) -> None:
    """Remove everything by label, which also works for paused containers and invalid compose files."""
    for kind, removal in (("container", "rm --force --volumes"), ("volume", "rm --force"), ("network", "rm")):
        if found := list_resources(kind, project):
            docker(kind, *removal.split(), *found)
    if images := docker("image", "ls", "--quiet", "--filter", f"label={LABEL}={project}").split():
        docker("image", "rm", "--force", *images)


def list_resources(kind: str, project: str) -> list[str]:
    everything = ["--all"] if kind == "container" else []
    return docker(kind, "ls", *everything, "--quiet", "--filter", f"label={LABEL}={project}").split()


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def seconds_until(condition: Callable[[], bool], limit: float) -> float:
    """Wait for the condition and return how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < limit, f"not within {limit} s"
        time.sleep(0.05)
    return time.monotonic() - start
