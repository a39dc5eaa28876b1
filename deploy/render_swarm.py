"""Writes the stack file for Docker Swarm: `COMPOSE=… ENV_FILE=… python3 -m deploy.render_swarm .local/swarm VERSION`.

It says what the compose files of the prod tier say. Swarm never changes a secret or a config, so each is named after
its content.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from deploy import env_file
from deploy.tier import DeployError, run

Document = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parents[1] / ".env.example"
# The settings that can be read from a file; the last one is of PostgreSQL's image.
SECRETS = {*re.findall(r"(\w+)_FILE\b", EXAMPLE.read_text(encoding="utf-8")), "POSTGRES_PASSWORD"}
DATA_NODE = "node.labels.crm.data == true"
# A new container starts before the old one stops. Of the others there must not be two.
START_FIRST = ("web", "celery-worker", "celery-certificates")
# What Swarm refuses or ignores, some of it without a warning. Most of it is said in Swarm's way below.
DROPPED = ("build", "depends_on", "network_mode", "profiles", "restart", "security_opt", "shm_size", "tmpfs")
LIMITS = {"cpus": "cpus", "mem_limit": "memory", "pids_limit": "pids"}
UNITS = {"k": 10, "m": 20, "g": 30}
ONCE = {"restart_policy": {"condition": "none"}}
CHECK = """grep -q "NoNewPrivs:.1" /proc/self/status || {
echo '/etc/docker/daemon.json of this node lacks "no-new-privileges": true'; exit 1; }"""


class Stack:
    def __init__(self, model: Document, repository: str = "") -> None:
        self.model, self.services, self.repository = model, model["services"], repository
        self.secrets: dict[str, str] = {}
        self.configs: dict[str, str] = {}
        # With options, as for NFS, a volume has the same content on each node; with a bucket, this one has none.
        self.shared = {name for name, volume in model.get("volumes", {}).items() if volume.get("driver_opts")}
        if (self.services["web"].get("environment") or {}).get("MEDIA_BUCKET"):
            self.shared.add("media_volume")

    def render(self, secrets: Path) -> Document:
        names = dict.fromkeys([*list_dependencies(self.services, "migrate"), *self.services])
        return {
            "x-name": self.model["name"],
            "services": {"node-check": self.render_node_check(), **{name: self.render_service(name) for name in names}},
            "networks": {name: to_overlay(network) for name, network in self.model["networks"].items()}
            | {"closed": {"driver": "overlay", "internal": True}},
            "volumes": self.model["volumes"],
            "configs": {name: {"file": path} for name, path in self.configs.items()},
            "secrets": {name: {"file": str(secrets / name)} for name in self.secrets},
        }

    def render_service(self, name: str) -> Document:
        source = self.services[name]
        service = {key: value for key, value in source.items() if key not in {*DROPPED, *LIMITS} and value is not None}
        service |= {"image": self.name_image(name), "networks": source.get("networks", ["closed"])}
        service |= self.render_environment(source.get("environment") or {}) | self.render_mounts(source)
        if "ports" in source:
            # Of the node itself, so that nginx sees who asks.
            service["ports"] = [
                port | {"mode": "host", "published": int(port["published"])} for port in source["ports"]
            ]
        return service | {"deploy": self.render_deployment(name, service)}

    def is_of_application(self, name: str) -> bool:
        version = self.services["web"]["image"].rpartition(":")[2]
        return "build" in self.services[name] and str(self.services[name].get("image")).endswith(f":{version}")

    def name_image(self, name: str) -> str:
        if not self.is_of_application(name):
            return str(self.services[name].get("image", f"{self.model['name']}-{name}"))
        ours = self.services["web"]["image"].rpartition(":")[0]
        return (self.repository or ours) + str(self.services[name]["image"]).removeprefix(ours)

    def render_environment(self, variables: Document) -> Document:
        files = [name for name, value in variables.items() if value and name in SECRETS]
        # Compose doubles a `$` for those who read its output.
        contents = {name: variables[name].replace("$$", "$") for name in files}
        sources = {name: f"{name}_{hash_content(content.encode())}" for name, content in contents.items()}
        self.secrets |= {sources[name]: contents[name] for name in files}
        return {
            "environment": {name: value for name, value in variables.items() if name not in files}
            | {f"{name}_FILE": f"/run/secrets/{name}" for name in files},
            "secrets": [{"source": sources[name], "target": name} for name in files],
        }

    def render_mounts(self, source: Document) -> Document:
        volumes, configs = [to_tmpfs(*text.split(":", 1)) for text in source.get("tmpfs", [])], []
        if "shm_size" in source:
            volumes.append(to_tmpfs("/dev/shm", f"size={int(source['shm_size']) >> 10}k"))  # noqa: S108
        for volume in source.get("volumes", []):
            if volume["type"] == "bind" and Path(volume["source"]).is_file():
                configs.append({"source": self.add_config(Path(volume["source"])), "target": volume["target"]})
            else:
                kept = {key: volume[key] for key in ("type", "source", "target", "read_only") if key in volume}
                # The image's directory is not copied into it: a server of NFS may not let Docker give files away.
                volumes.append(kept | ({"volume": {"nocopy": True}} if volume["source"] in self.shared else {}))
        return {"volumes": volumes, "configs": configs}

    def add_config(self, path: Path) -> str:
        name = f"{path.name}_{hash_content(path.read_bytes())}"
        self.configs[name] = str(path)
        return name

    def render_deployment(self, name: str, service: Document) -> Document:
        source = self.services[name]
        is_movable = self.is_of_application(name) and all(
            volume["type"] == "tmpfs" or volume["source"] in self.shared for volume in service["volumes"]
        )
        limits = {
            LIMITS[key]: source[key] if key == "pids_limit" else str(source[key]) for key in LIMITS if key in source
        }
        deploy = {"placement": {} if is_movable else {"constraints": [DATA_NODE]}, "resources": {"limits": limits}}
        if source.get("restart") == "no":
            return deploy | ONCE | {"mode": "replicated-job"}
        order = "start-first" if name in START_FIRST else "stop-first"
        return deploy | {
            "replicas": source.get("deploy", {}).get("replicas", 1),
            # The name stands for the containers' own addresses, among which nginx and Prometheus choose.
            "endpoint_mode": "dnsrr",
            "restart_policy": {"delay": "1s"},
            "update_config": {"order": order, "failure_action": "rollback", "monitor": "10s"},
            "rollback_config": {"order": order},
        }

    def render_node_check(self) -> Document:
        """A job on each node: its engine must do what security_opt did. It also fetches the image before an update."""
        web = self.render_service("web")
        return {key: web[key] for key in ("image", "cap_drop", "read_only", "logging")} | {
            "command": ["sh", "-c", CHECK],
            "healthcheck": {"disable": True},
            "networks": ["closed"],
            "deploy": ONCE | {"mode": "global-job", "resources": web["deploy"]["resources"]},
        }


def list_dependencies(services: Document, name: str) -> list[str]:
    """Return them in the order of their start, and the service after them."""
    needs = [need for need in services[name].get("depends_on", {}) if need in services]
    return [*(one for need in needs for one in list_dependencies(services, need)), name]


def to_tmpfs(target: str, options: str = "") -> Document:
    """Swarm knows only the size. Nothing in it is executed; root owns it, with the mode of the image's directory."""
    size = re.search(r"size=(\d+)([kmg])", options)
    return {"type": "tmpfs", "target": target} | ({"tmpfs": {"size": int(size[1]) << UNITS[size[2]]}} if size else {})


def to_overlay(network: Document) -> Document:
    options = {name: value for name, value in network.get("driver_opts", {}).items() if ".bridge." not in name}
    kept = {key: network[key] for key in ("name", "internal", "ipam") if network.get(key)}
    return kept | {"driver": "overlay", "driver_opts": options}


def hash_content(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def main(target: Path, version: str) -> None:
    if not re.fullmatch(r"\w[\w.-]{0,127}", version, re.ASCII):
        sys.exit(f"VERSION={version!r} is not the tag of an image, such as 1.2.0")
    model = json.loads(run([*os.environ["COMPOSE"].split(), "config", "--format", "json"], {"VERSION": version}))
    stack = Stack(model, env_file.read(Path(os.environ["ENV_FILE"])).get("IMAGE_REPOSITORY", ""))
    secrets = target.resolve() / "secrets"
    # Also those of the last time
    shutil.rmtree(secrets, ignore_errors=True)
    secrets.mkdir(parents=True)
    env_file.write(target / "stack.json", json.dumps(stack.render(secrets), indent=2))
    for name, content in stack.secrets.items():
        env_file.write(secrets / name, content)
    print(f"Written to {target}/stack.json; the secrets are beside it, readable only by you.")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except DeployError as error:
        sys.exit(str(error))
