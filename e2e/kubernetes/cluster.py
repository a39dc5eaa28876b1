"""Pods of the rendered manifests, run by Podman, which needs no cluster: one pod of each kind, on one machine.

It knows neither Services, Jobs that retry, probes of readiness, nor preStop; a pod is reached by its name.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from e2e.checkout import SOURCE
from e2e.kubernetes.manifests import Document, containers, of_kind, pods
from e2e.stack import DATABASE, seconds_until

PODMAN = os.environ.get("PODMAN") or shutil.which("podman") or str(SOURCE.parent / "shared/engine/podman")
PLAY_SECONDS = 120
# Prints the statuses of simultaneous requests, from within a pod.
ASK = """
import http.client, sys
from concurrent.futures import ThreadPoolExecutor
pod, port, path, host, count = sys.argv[1:]
def ask(number):
    connection = http.client.HTTPConnection(pod, int(port), timeout=30)
    connection.request("GET", path, headers={"Host": host, "Authorization": f"Token {number}"})
    return connection.getresponse().status
with ThreadPoolExecutor(int(count)) as threads:
    print(*threads.map(ask, range(int(count))))
"""


class Cluster:
    def __init__(self, folder: Path, documents: list[Document]) -> None:
        self.folder, self.name = folder, f"e2e-k8s-{secrets.token_hex(3)}"
        self.settings = of_kind(documents, "ConfigMap")
        self.secrets = of_kind(documents, "Secret")
        self.values = {one["metadata"]["name"]: one["data"] for one in self.settings}
        for secret in self.secrets:
            decoded = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
            self.values[secret["metadata"]["name"]] = decoded
        self.pods = {name.partition("-")[0]: self.build(pod) for name, pod in pods(documents).items()}
        self.played: dict[str, subprocess.Popen[bytes]] = {}

    def build(self, template: Document) -> Document:
        """Return a pod that Podman can run."""
        spec = template["spec"]
        for container in containers(template):
            self.resolve(container.get("env", []))
        # What a StatefulSet would make.
        known = {volume["name"] for volume in spec["volumes"]} if "volumes" in spec else set()
        mounted = {mount["name"] for container in containers(template) for mount in container.get("volumeMounts", [])}
        claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(mounted - known)]
        spec["volumes"] = [*spec.get("volumes", []), *claims]
        # Volumes have no namespace here.
        for volume in spec["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                claim["claimName"] = f"{self.name}-{claim['claimName']}"
        return {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": spec}

    def resolve(self, variables: list[Document]) -> None:
        """Replace $(NAME), as Kubernetes does."""
        known: dict[str, str] = {}
        for variable in variables:
            if source := variable.get("valueFrom"):
                (reference,) = source.values()
                known[variable["name"]] = self.values[reference["name"]][reference["key"]]
            else:
                variable["value"] = re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], variable["value"])

    def podman(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=PLAY_SECONDS)

    def command(self, *arguments: str) -> list[str]:
        # In a network of its own, where no other engine's firewall is.
        return ["nsenter", f"--net=/run/netns/{self.name}", PODMAN, *arguments]

    def start(self) -> None:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        self.podman("network", "create", self.name)
        self.write("secrets", self.secrets)
        self.podman("kube", "play", str(self.folder / "secrets.yml"))

    def write(self, name: str, documents: list[Document]) -> Path:
        path = self.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump_all(documents))
        return path

    def play(self, kind: str, name: str = "") -> subprocess.Popen[bytes]:
        """Start a pod; the command ends when its init containers have, and it has been started."""
        name = name or kind
        pod = self.pods[kind] | {"metadata": {"name": name, "labels": self.pods[kind]["metadata"]["labels"]}}
        path = self.write(name, [*self.settings, pod])
        command = self.command("kube", "play", "--network", self.name, str(path))
        with (self.folder / f"{name}.log").open("wb") as log:
            self.played[name] = subprocess.Popen(command, stdout=log, stderr=log)
        return self.played[name]

    def start_pod(self, kind: str, name: str = "") -> None:
        process = self.play(kind, name)
        assert process.wait(PLAY_SECONDS) == 0, (self.folder / f"{name or kind}.log").read_text()

    def within(self, container: str, *command: str) -> str:
        return self.podman("exec", container, *command)

    def sql(self, statement: str) -> str:
        return self.within("db-db", "psql", "-qtAX", "-U", DATABASE, "-c", statement)

    def start_asking(self, pod: str, path: str, *, port: int, host: str, count: int = 1) -> subprocess.Popen[str]:
        arguments = ["exec", "client-app", "python", "-c", ASK, pod, str(port), path, host, str(count)]
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, pod: str, path: str, *, port: int = 8000, host: str = "localhost") -> int | None:
        """Return the status, or nothing where nobody answers."""
        said, _errors = self.start_asking(pod, path, port=port, host=host).communicate(timeout=PLAY_SECONDS)
        return int(said) if said else None

    def wait_until_ready(self, pod: str, limit: float) -> float:
        return seconds_until(lambda: self.ask(pod, "/api/v1/ready/", port=8001) == 200, limit)

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.podman("inspect", container))[0]
        return found

    def wait_for_exit(self, container: str) -> int:
        return int(self.podman("wait", container))

    def remove(self) -> None:
        for process in self.played.values():
            process.kill()
            process.wait()
        # Twice, because it may not find the network of a pod that it has just stopped.
        for name in [*self.played, *self.played]:
            self.run("pod", "rm", "--force", "--time", "1", name)
        found = self.podman("volume", "ls", "--quiet").split()
        # A ConfigMap becomes a volume, too.
        names = [one["metadata"]["name"] for one in self.settings]
        self.podman("volume", "rm", *(name for name in found if name.startswith(self.name) or name in names))
        self.podman("secret", "rm", *(secret["metadata"]["name"] for secret in self.secrets))
        self.podman("network", "rm", "--force", self.name)
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@contextmanager
def running(folder: Path, documents: list[Document]) -> Iterator[Cluster]:
    cluster = Cluster(folder, documents)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
