"""Three engines as the nodes of a swarm, and the prod tier, deployed on it from the first of them."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from e2e import mail_server
from e2e.checkout import SOURCE
from e2e.site import Site
from e2e.stack import ADMINISTRATOR, DATABASE, PASSWORD, Stack
from e2e.tasks.tier import ENQUEUE

NODES = os.environ.get("NODES") or str(SOURCE.parent / "shared/engine/nodes")
ADDRESS = "10.77.0.11"
# In a mount namespace of its own, so that this machine's engine does not see the file.
UP = "mount --make-private / && mkdir -p /etc/docker && mount --bind {folder} /etc/docker && exec {nodes} up {count}"
HARDENED = {"no-new-privileges": True}
WEB, WORKER = 3, 3
SETTINGS = f"WEB_REPLICAS={WEB}\nWORKER_REPLICAS={WORKER}\nWEB_CONCURRENCY=2\n"
SETTINGS += "EMAIL_HOST=mail\nEMAIL_PORT=2525\nEMAIL_USE_TLS=false\n"
# A directory that all nodes see, as they would see one of a server of NFS
SHARED = """
volumes:
  media_volume:
    driver_opts: {{type: none, o: bind, device: {folder}}}
"""
NAME = "com.docker.swarm.service.name"
UNHEALTHY = 'HEALTHCHECK --interval=1s --start-period=1s --retries=1 CMD ["false"]'
OURS = ("exhibition-crm", "exhibition-crm-certificates")


class Cluster:
    def __init__(self, stack: Stack) -> None:
        self.stack, self.folder = stack, stack.checkout.parent
        self.site = Site("localhost", stack.ports["nginx"], address=ADDRESS)

    def nodes(self, *command: str) -> str:
        return run(NODES, *command)

    def docker(self, node: int, *arguments: str) -> str:
        return self.nodes("docker", str(node), *arguments).strip()

    def start_nodes(self, count: int, daemon: dict[str, Any]) -> str:
        """Start those that do not run yet, with this daemon.json."""
        folder = self.folder / f"daemon-{count}"
        folder.mkdir(exist_ok=True)
        (folder / "daemon.json").write_text(json.dumps(daemon))
        script = UP.format(folder=folder, nodes=NODES, count=count)
        return run("unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script)

    def create(self) -> None:
        """Create a swarm whose third node lacks what its daemon.json should say."""
        # The network namespaces of the nodes become visible outside of their mount namespace.
        run("ip", "netns", "add", self.stack.project)
        run("ip", "netns", "del", self.stack.project)
        started = self.start_nodes(2, HARDENED)
        self.start_nodes(3, {})
        self.docker(1, "swarm", "init", "--advertise-addr", ADDRESS, "--dispatcher-heartbeat", "3s")
        token = self.docker(1, "swarm", "join-token", "--quiet", "worker")
        for node in (2, 3):
            self.docker(node, "swarm", "join", "--token", token, f"{ADDRESS}:2377")
        self.prepare()
        (self.stack.environment["DOCKER_HOST"],) = re.findall(r"^node1 .* (unix:\S+)$", started, re.M)

    def prepare(self) -> None:
        """Write the settings, and bring images to the nodes that need them."""
        stack, media = self.stack, self.folder / "media"
        stack.configure(SETTINGS)
        media.mkdir()
        os.chown(media, 10001, 10001)
        (stack.checkout / "mail.py").write_text(mail_server.SCRIPT)
        stack.overlay("mail.yml", mail_server.SERVICE)
        stack.overlay("shared.yml", SHARED.format(folder=media))
        stack.compose("build", "--quiet", "web", "celery-certificates", "nginx", "certbot", "backup")
        self.load((1, 2, 3), [f"{image}:{stack.project}" for image in OURS])
        built = [f"{stack.project}-nginx", f"{stack.project}-certbot", f"{stack.project}-backup:postgres-17"]
        self.load((1,), [*built, "postgres:17-trixie", "redis:8-trixie", "python:3.13-slim-trixie"])

    def load(self, nodes: Sequence[int], images: list[str]) -> None:
        file = str(self.folder / "images.tar")
        run("docker", "save", "--output", file, *images)
        for node in nodes:
            self.docker(node, "load", "--quiet", "--input", file)

    def tag(self, version: str) -> str:
        """Create a version that uses the images of the first one."""
        for node in (1, 2, 3):
            for image in OURS:
                self.docker(node, "tag", f"{image}:{self.stack.project}", f"{image}:{version}")
        return version

    def tag_unhealthy(self, version: str) -> str:
        """Create a version whose web does everything but pass its health check."""
        image = f"{OURS[0]}:{self.tag(version)}"
        for node in (1, 2, 3):
            container = self.docker(node, "create", image)
            self.docker(node, "commit", "--change", UNHEALTHY, container, image)
            self.docker(node, "rm", container)
        return version

    def deploy(self, version: str, *, fails: bool = False) -> str:
        return self.stack.make("swarm-deploy", f"VERSION={version}", fails=fails)

    def containers(
        self, service: str = "", nodes: Sequence[int] = (1, 2, 3), *, health: str = ""
    ) -> list[tuple[int, str]]:
        """The running containers of the service, or of all, with their nodes."""
        filters = ["--filter", f"label={NAME}={self.stack.project}_{service}" if service else f"label={NAME}"]
        filters += ["--filter", f"health={health}"] if health else []
        return [(node, one) for node in nodes for one in self.docker(node, "ps", "--quiet", *filters).split()]

    def versions(self) -> set[str]:
        """Of the running containers of web."""
        name = "inspect", "--format", "{{.Config.Image}}"
        images = [self.docker(node, *name, container) for node, container in self.containers("web")]
        return {image.rpartition(":")[2] for image in images}

    def services(self) -> dict[str, str]:
        """How many containers run of each service, as `3/3`."""
        lines = self.docker(1, "service", "ls", "--format", "{{.Name}} {{.Replicas}}").splitlines()
        return dict(line.removeprefix(f"{self.stack.project}_").split(" ", 1) for line in lines)

    def is_settled(self) -> bool:
        """Whether no update or rollback goes on."""
        services = self.docker(1, "service", "ls", "--quiet").split()
        facts = json.loads(self.docker(1, "service", "inspect", *services))
        return {one.get("UpdateStatus", {}).get("State") for one in facts} <= {None, "completed", "rollback_completed"}

    def within(self, service: str, *command: str) -> str:
        """Run a command in a container of the service on the first node."""
        return self.docker(1, "exec", self.containers(service, (1,))[0][1], *command)

    def sql(self, statement: str) -> str:
        return self.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", statement)

    def create_administrator(self) -> None:
        environment = f"DJANGO_SUPERUSER_EMAIL={ADMINISTRATOR}", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}"
        self.within("web", "env", *environment, "python", "manage.py", "createsuperuser", "--noinput")

    @contextmanager
    def enqueue(self, count: int) -> Iterator[None]:
        """Enqueue so many tasks, each of which sends a mail, within the block, which ends when all are."""
        (_, web), *_others = self.containers("web", (1,))
        code = ENQUEUE.format(committed=count, rolled_back=0)
        command = [NODES, "docker", "1", "exec", web, "python", "manage.py", "shell", "-v0", "-c", code]
        with subprocess.Popen(command) as process:
            yield
        assert process.returncode == 0

    def count_mails(self) -> Counter[str]:
        """Return how often each task has sent its mail."""
        log = self.docker(1, "logs", self.containers("mail", (1,))[0][1])
        return Counter(re.findall(r"Message-ID: <([^@]+)@", log))

    def remove(self) -> None:
        self.nodes("down")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}"
    return done.stdout
