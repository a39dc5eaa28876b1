"""The prod tier's containers: those of the application that run, and which of them receive requests."""

import contextlib
import functools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# The services that run an image of a version; celery-certificates has one of its own.
WORKERS = ("celery-worker", "celery-certificates", "celery-beat")
SERVICES = ("web", *WORKERS)
# One of them is in front of web.
FRONTS = ("nginx", "caddy")
READY_SECONDS = 45
# Both cache a name for one second; by then a connection waiting to be accepted has been accepted too.
NAME_SECONDS = 2
LOG_LINES = 20
WRITE_METRICS = "cat >/metrics/deploy.partial && mv /metrics/deploy.partial /metrics/deploy.prom"
# Marks one-off containers of a deploy; those that a person started are left alone.
ONE_OFF_LABEL = "exhibition-crm.deploy=once"


class DeployError(Exception):
    """A step failed; the message is for the person who deploys."""


@dataclass(frozen=True)
class Container:
    id: str
    name: str
    service: str
    version: str
    created: str
    is_running: bool
    in_traffic: bool


class Tier:
    def __init__(self, env_file: Path) -> None:
        default = f"docker compose --env-file {env_file} -f docker-compose.prod.yml"
        self._compose = os.environ.get("COMPOSE", default).split()

    def compose(
        self, *arguments: str, version: str, stream_output: bool = False, stdin: str = "", **variables: str
    ) -> str:
        """Run a `docker compose` command and return its stdout, blank with `stream_output` (to the terminal)."""
        return run(
            [*self._compose, *arguments], {"VERSION": version, **variables}, stream_output=stream_output, stdin=stdin
        )

    def run_one_off(
        self, service: str, *command: str, version: str, stream_output: bool = False, stdin: str = "", **variables: str
    ) -> str:
        """Run a command in a one-off container with extra environment variables, and return its stdout."""
        options = [
            "--rm",
            "--no-deps",
            "-T",
            # Compose may lose the end of an empty stdin, for which the command would wait for ever.
            f"--interactive={'true' if stdin else 'false'}",
            "--label",
            ONE_OFF_LABEL,
            *(part for name in variables for part in ("--env", name)),
        ]
        return self.compose(
            "run", *options, service, *command, version=version, stream_output=stream_output, stdin=stdin, **variables
        )

    def remove_one_off_containers(self) -> None:
        """Safe at any time: PostgreSQL rolls an interrupted migration back, and the next run starts it again."""
        project = f"com.docker.compose.project={self.config['name']}"
        filters = ["--filter", f"label={ONE_OFF_LABEL}", "--filter", f"label={project}"]
        if ids := run(["docker", "ps", "--all", "--quiet", *filters]).split():
            with contextlib.suppress(DeployError):  # the engine may be removing it already
                run(["docker", "rm", "--force", *ids])

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.compose("config", "--format", "json", version="none"))
        return config

    def select(self, services: Iterable[str]) -> list[str]:
        """Those that the tier's file has."""
        return [service for service in services if service in self.config["services"]]

    @property
    def frontend(self) -> str:
        return str(self.config["networks"]["frontend"]["name"])

    def image(self, service: str, version: str) -> str:
        repository = str(self.config["services"][service]["image"]).rpartition(":")[0]
        return f"{repository}:{version}"

    @property
    def counts(self) -> dict[str, int]:
        """How many containers each service of the application has."""
        services = self.config["services"]
        return {name: int(services[name].get("deploy", {}).get("replicas", 1)) for name in SERVICES}

    def publish_counts(self, counts: Mapping[str, int]) -> None:
        """Tell Prometheus how many containers there should be, by a file that its node_exporter reads."""
        lines = [f'containers_expected{{service="{service}"}} {count}\n' for service, count in counts.items()]
        # It has the volume.
        if backup := self.running_container("backup"):
            with contextlib.suppress(DeployError):  # no reason to fail
                run(["docker", "exec", "--interactive", backup, "sh", "-c", WRITE_METRICS], stdin="".join(lines))

    def has_image(self, version: str, service: str = "web") -> bool:
        return bool(run(["docker", "image", "ls", "--quiet", self.image(service, version)]))

    def workers(self, version: str) -> list[str]:
        """Those that the version has: an earlier one may have no celery-certificates."""
        return [service for service in WORKERS if self.has_image(version, service)]

    def containers(self, service: str) -> list[dict[str, Any]]:
        """The output of `docker inspect` for each container of the service, stopped ones included."""
        return inspect_containers(f"project={self.config['name']}", f"service={service}", "oneoff=False")

    def running_container(self, service: str) -> str:
        """The id of the service's running container, or an empty string."""
        ids = [one["Id"] for one in self.containers(service) if one["State"]["Status"] == "running"]
        return str(ids[0]) if ids else ""

    def application(self, services: Iterable[str] = SERVICES) -> list[Container]:
        """Its containers, oldest first."""
        facts = [one for service in services for one in self.containers(service)]
        return sorted(map(self._container, facts), key=lambda container: container.created)

    def web(self) -> list[Container]:
        return self.application(["web"])

    def _container(self, facts: dict[str, Any]) -> Container:
        return Container(
            id=facts["Id"],
            name=facts["Name"].lstrip("/"),
            service=facts["Config"]["Labels"]["com.docker.compose.service"],
            version=facts["Config"]["Image"].rpartition(":")[2],
            created=facts["Created"],
            is_running=facts["State"]["Status"] == "running",
            in_traffic=self.frontend in facts["NetworkSettings"]["Networks"],
        )

    def execute(self, container: Container, *command: str) -> str:
        return run(["docker", "exec", container.id, *command])

    def create(self, version: str, counts: Mapping[str, int]) -> list[Container]:
        """Create so many more of each service, not started, and web out of the network where requests reach it."""
        before = self.application(counts)
        totals = Counter(container.service for container in before) + Counter(counts)
        scales = [part for service in counts for part in ("--scale", f"{service}={totals[service]}")]
        self.compose("create", "--no-recreate", "--no-build", *scales, *counts, version=version)
        known = {container.id for container in before}
        created = [container for container in self.application(counts) if container.id not in known]
        for container in created:
            if container.in_traffic:
                run(["docker", "network", "disconnect", self.frontend, container.id])
        return created

    def start(self, containers: Sequence[Container]) -> None:
        """Start the containers and wait until all are ready."""
        run(["docker", "start", *(container.id for container in containers)])
        deadline = time.monotonic() + READY_SECONDS
        for container in containers:
            while reason := self.readiness_error(container):
                if time.monotonic() > deadline or not self.is_alive(container):
                    raise DeployError(f"{container.name} is not ready: {reason}\n{last_lines(container.id)}")
                time.sleep(0.2)

    def readiness_error(self, container: Container) -> str:
        if container.service != "web":
            (facts,) = json.loads(run(["docker", "inspect", container.id]))
            health = facts["State"]["Health"]["Status"]
            return "" if health == "healthy" else f"its health check says {health}"
        probe = ["python", "/usr/local/lib/healthcheck.py", "/api/v1/ready/"]
        try:
            run(["docker", "exec", container.id, *probe])
        except DeployError as error:
            return str(error).splitlines()[-1]
        return ""

    def is_alive(self, container: Container) -> bool:
        """Whether it is running and has never restarted."""
        (facts,) = json.loads(run(["docker", "inspect", container.id]))
        return bool(facts["State"]["Status"] == "running" and facts["RestartCount"] == 0)

    def connect(self, containers: Sequence[Container], name: str) -> None:
        """Add web's to the frontend network, as `web` and under a name that only they have."""
        for container in [one for one in containers if one.service == "web"]:
            aliases = [part for alias in ("web", name, container.name) for part in ("--alias", alias)]
            run(["docker", "network", "connect", *aliases, self.frontend, container.id])

    def route_to(self, name: str) -> None:
        """Make nginx or Caddy send new requests only to the containers with this name, and wait until it does.

        If it is stopped it needs no change: it starts with `web`, the name of all containers in traffic.
        """
        (front,) = self.select(FRONTS)
        if (running := self.running_container(front)) and run(["docker", "exec", running, "direct-to.sh", name]):
            time.sleep(NAME_SECONDS)

    def remove(self, containers: Sequence[Container]) -> None:
        """Stop and remove them; each finishes its requests in flight, or the tasks that it runs."""
        if ids := [container.id for container in containers]:
            run(["docker", "stop", *ids])
            run(["docker", "rm", "--force", *ids])

    def sync_one_off_services(self, version: str) -> None:
        """Recreate migrate and drill with this version, so that the next `up` does not replace web because of them."""
        # Removed first, so that nothing else needs to be: a database whose definition has changed must stay.
        self.compose("rm", "--force", "migrate", version=version)
        self.compose("create", "--no-build", "--no-recreate", "migrate", version=version)
        # A drill tests the version that serves; and an image in use could not be pruned.
        self.compose("up", "--detach", "--no-build", "--no-deps", "drill", version=version)

    def is_outdated(self, service: str) -> bool:
        """Whether its container runs another image than the one just built."""
        image = self.config["services"][service].get("image", f"{self.config['name']}-{service}")
        built = run(["docker", "image", "ls", "--quiet", "--no-trunc", image])
        return [one["Image"] for one in self.containers(service)] != built.split()


def replace_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def inspect_containers(*labels: str) -> list[dict[str, Any]]:
    """The output of `docker inspect` for each container with these labels of Compose, stopped ones included."""
    filters = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]
    ids = run(["docker", "ps", "--all", "--quiet", *filters]).split()
    containers: list[dict[str, Any]] = json.loads(run(["docker", "inspect", *ids])) if ids else []
    return containers


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, *, stream_output: bool = False, stdin: str = ""
) -> str:
    """Return its stdout; raise DeployError with the last lines of stdout and stderr."""
    process = start_process(
        command, os.environ | (environment or {}), None if stream_output else subprocess.PIPE, stdin
    )
    try:
        stdout, stderr = process.communicate(stdin or None)
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    if process.returncode:
        lines = [line for text in (stdout, stderr) for line in (text or "").strip().splitlines()[-LOG_LINES:]]
        raise DeployError("\n".join([f"`{' '.join(command)}` failed with exit code {process.returncode}", *lines]))
    return stdout or ""


def start_process(
    command: Sequence[str], environment: dict[str, str], output: int | None, stdin: str
) -> subprocess.Popen[str]:
    """Start it in its own session: only this process receives Ctrl-C, and then terminates the command and waits for it.

    The command inherits the lock: if this process is killed, the next deploy waits for the command.
    """
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
        close_fds=False,
    )


def last_lines(container: str) -> str:
    """The last log lines of the container with this name or id."""
    logs = ["docker", "logs", "--tail", str(LOG_LINES), container]
    done = subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return f"Its last log lines:\n{done.stdout.strip()}"
