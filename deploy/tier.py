"""The prod tier as a deploy sees it: web's containers, one by one, each in traffic or apart from it."""

import contextlib
import functools
import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 45
# nginx asks Docker's name server again after a second, and what waited to be accepted by then has been.
NAME_SECONDS = 2
LOG_LINES = 20
# Of containers that a deploy runs once; those that a person runs are left alone.
ONCE = "exhibition-crm.deploy=once"


class FailedError(Exception):
    """What went wrong, for the person who deploys."""


@dataclass(frozen=True)
class Container:
    id: str
    name: str
    version: str
    created: str
    is_running: bool
    in_traffic: bool


class Tier:
    def __init__(self, env_file: Path) -> None:
        default = f"docker compose --env-file {env_file} -f docker-compose.prod.yml"
        self._compose = os.environ.get("COMPOSE", default).split()

    def compose(self, *arguments: str, version: str, shown: bool = False, given: str = "", **variables: str) -> str:
        """`shown`: what it says goes to the terminal, where a person waits for it. `given`: its standard input."""
        return run([*self._compose, *arguments], {"VERSION": version, **variables}, shown=shown, given=given)

    def once(
        self, service: str, *command: str, version: str, shown: bool = False, given: str = "", **variables: str
    ) -> str:
        """What the command says, in a container of its own, which has these variables beside those of the service."""
        options = [
            "--rm",
            "--no-deps",
            "-T",
            "--label",
            ONCE,
            *(part for name in variables for part in ("--env", name)),
        ]
        return self.compose("run", *options, service, *command, version=version, shown=shown, given=given, **variables)

    def remove_once(self) -> None:
        """Whatever such a container was at: a migration begins anew, for PostgreSQL undoes what was half done."""
        project = f"com.docker.compose.project={self.config['name']}"
        found = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={ONCE}", "--filter", f"label={project}"])
        if ids := found.split():
            with contextlib.suppress(FailedError):  # the engine may be removing it already
                run(["docker", "rm", "--force", *ids])

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.compose("config", "--format", "json", version="none"))
        return found

    @property
    def frontend(self) -> str:
        return str(self.config["networks"]["frontend"]["name"])

    @property
    def repository(self) -> str:
        return str(self.config["services"]["web"]["image"]).rpartition(":")[0]

    @property
    def replicas(self) -> int:
        return int(self.config["services"]["web"]["deploy"]["replicas"])

    def has_image(self, version: str) -> bool:
        return bool(run(["docker", "image", "ls", "--quiet", f"{self.repository}:{version}"]))

    def containers(self, service: str) -> list[dict[str, Any]]:
        """As the engine describes them, those that are stopped included."""
        project = self.config["name"]
        labels = [f"project={project}", f"service={service}", "oneoff=False"]
        filters = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]
        ids = run(["docker", "ps", "--all", "--quiet", *filters]).split()
        found: list[dict[str, Any]] = json.loads(run(["docker", "inspect", *ids])) if ids else []
        return found

    def running(self, service: str) -> str:
        """The id of its container; blank where none runs."""
        ids = [found["Id"] for found in self.containers(service) if found["State"]["Status"] == "running"]
        return str(ids[0]) if ids else ""

    def web(self) -> list[Container]:
        """Oldest first."""
        return sorted(map(self._container, self.containers("web")), key=lambda container: container.created)

    def _container(self, found: dict[str, Any]) -> Container:
        return Container(
            id=found["Id"],
            name=found["Name"].lstrip("/"),
            version=found["Config"]["Image"].rpartition(":")[2],
            created=found["Created"],
            is_running=found["State"]["Status"] == "running",
            in_traffic=self.frontend in found["NetworkSettings"]["Networks"],
        )

    def within(self, container: Container, *command: str) -> str:
        return run(["docker", "exec", container.id, *command])

    def create(self, version: str, count: int) -> list[Container]:
        """So many more, not started, and where no request reaches them."""
        before = self.web()
        total = f"web={len(before) + count}"
        self.compose("create", "--no-recreate", "--no-build", "--scale", total, "web", version=version)
        known = {container.id for container in before}
        created = [container for container in self.web() if container.id not in known]
        for container in created:
            run(["docker", "network", "disconnect", self.frontend, container.id])
        return created

    def start(self, containers: Sequence[Container]) -> None:
        """Start them and wait until every one is ready."""
        run(["docker", "start", *(container.id for container in containers)])
        deadline = time.monotonic() + READY_SECONDS
        for container in containers:
            while reason := self.why_not_ready(container):
                if time.monotonic() > deadline or not self.is_alive(container):
                    raise FailedError(f"{container.name} is not ready: {reason}\n{last_lines(container.id)}")
                time.sleep(0.2)

    def why_not_ready(self, container: Container) -> str:
        question = ["python", "/usr/local/lib/healthcheck.py", "/api/v1/ready/"]
        try:
            run(["docker", "exec", container.id, *question])
        except FailedError as error:
            return str(error).splitlines()[-1]
        return ""

    def is_alive(self, container: Container) -> bool:
        """Neither ended nor restarted."""
        (found,) = json.loads(run(["docker", "inspect", container.id]))
        return bool(found["State"]["Status"] == "running" and found["RestartCount"] == 0)

    def connect(self, containers: Sequence[Container], name: str) -> None:
        """Into traffic: under the name that nginx asks for, and one that they alone have."""
        for container in containers:
            aliases = [part for alias in ("web", name, container.name) for part in ("--alias", alias)]
            run(["docker", "network", "connect", *aliases, self.frontend, container.id])

    def direct(self, name: str) -> None:
        """Have nginx send new requests to the containers of this name alone, and wait until it does.

        One that does not run needs no direction: it starts with `web`, all that are in traffic.
        """
        running = [nginx["Id"] for nginx in self.containers("nginx") if nginx["State"]["Status"] == "running"]
        if [nginx for nginx in running if run(["docker", "exec", nginx, "direct-to.sh", name])]:
            time.sleep(NAME_SECONDS)

    def remove(self, containers: Sequence[Container]) -> None:
        """Each finishes the requests that it has begun."""
        if ids := [container.id for container in containers]:
            run(["docker", "stop", *ids])
            run(["docker", "rm", "--force", *ids])

    def follow(self, version: str) -> None:
        """Make the next `up` find nothing to replace: with a `migrate` of another version it would replace web too."""
        self.compose("create", "--no-build", "migrate", version=version)
        # A drill proves what serves, and an image that it used could not be removed.
        self.compose("up", "--detach", "--no-build", "--no-deps", "drill", version=version)

    def is_outdated(self, service: str) -> bool:
        """Whether its container is of another image than the one just built."""
        image = self.config["services"][service].get("image", f"{self.config['name']}-{service}")
        built = run(["docker", "image", "ls", "--quiet", "--no-trunc", image])
        return [found["Image"] for found in self.containers(service)] != built.split()


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, *, shown: bool = False, given: str = ""
) -> str:
    """What it prints; raises FailedError with the last lines of that, and of what it says beside."""
    process = started(command, os.environ | (environment or {}), None if shown else subprocess.PIPE, given)
    try:
        stdout, stderr = process.communicate(given or None)
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    if process.returncode:
        lines = [line for said in (stdout, stderr) for line in (said or "").strip().splitlines()[-LOG_LINES:]]
        raise FailedError("\n".join([f"`{' '.join(command)}` ended with {process.returncode}", *lines]))
    return stdout or ""


def started(
    command: Sequence[str], environment: dict[str, str], output: int | None, given: str
) -> subprocess.Popen[str]:
    """In a session of its own: Ctrl-C reaches this process alone, which ends the command and knows when it has ended.

    It shares the lock: where this process is killed, the next deploy waits for the command.
    """
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
        close_fds=False,
    )


def last_lines(container: str) -> str:
    """By its name or id."""
    logs = ["docker", "logs", "--tail", str(LOG_LINES), container]
    done = subprocess.run(logs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return f"Its last lines:\n{done.stdout.strip()}"
