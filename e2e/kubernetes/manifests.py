"""The manifests in deploy/kubernetes as `make k8s-render` prints them, and what may be wrong with them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from e2e.checkout import SOURCE

FOLDER = "deploy/kubernetes"
TOOLS = SOURCE / ".local/manifests/bin"
OVERLAYS = ("prod", "staging", "local-db")
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
# Of the host
SHARED = {"hostNetwork", "hostPID", "hostIPC"}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
MAKERS = ("Deployment", "StatefulSet", "Job", "CronJob")  # of pods
PROBES = ("httpGet", "exec", "tcpSocket")
Document = dict[str, Any]


def copy_sources(target: Path) -> Path:
    """Copy what manifests are made from, and generate secrets."""
    shutil.copytree(SOURCE / "deploy", target / "deploy", ignore=shutil.ignore_patterns("__pycache__", "*.env"))
    shutil.copytree(SOURCE / "docker/postgres", target / "docker/postgres")
    shutil.copy(SOURCE / "Makefile", target)
    for overlay in OVERLAYS:
        if (settings := SOURCE / FOLDER / overlay / "settings.env").exists():
            shutil.copy(settings, target / FOLDER / overlay)
        run("make", "k8s-secrets", f"OVERLAY={overlay}", cwd=target)
    return target


def render(sources: Path, overlay: str, version: str = "1.2.3") -> str:
    done = make_render(sources, f"OVERLAY={overlay}", f"VERSION={version}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_render(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("make", "--no-print-directory", "k8s-render", f"KUBECTL={TOOLS / 'kubectl'}", *arguments, cwd=sources)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    # Not this user's home, where checkov would leave a file.
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def parse(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def find_schema_errors(file: Path, version: str) -> str:
    done = run(TOOLS / "kubernetes-validate", "--quiet", "--strict", "-k", version, file, cwd=file.parent)
    return done.stdout + done.stderr if done.returncode else ""


def find_unsafe(file: Path) -> str:
    done = run(TOOLS / "checkov", "--config-file", SOURCE / FOLDER / "checkov.yml", "-f", file, cwd=file.parent)
    return done.stdout + done.stderr if done.returncode else ""


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def pods(documents: list[Document]) -> dict[str, Document]:
    """Return the templates of pods by the name of what makes them."""
    specs = {document["metadata"]["name"]: document.get("spec", {}) for document in of_kind(documents, *MAKERS)}
    specs = {name: spec.get("jobTemplate", {}).get("spec", spec) for name, spec in specs.items()}
    return {name: spec["template"] for name, spec in specs.items()}


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def find_privileges(documents: list[Document]) -> list[str]:
    """What the policy `restricted` forbids, and what we do beyond it."""
    return [f"{name}: {fault}" for name, pod in pods(documents).items() for fault in privileges(pod["spec"])]


def privileges(spec: Document) -> Iterator[str]:
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) < 10000:
        yield "may run as root, or as a user of the host"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "has a token for the API of Kubernetes"
    yield from (f"shares {name} with the host" for name in SHARED & spec.keys())
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume.keys() - {"name"}}
    yield from (f"mounts a {kind}" for kind in kinds - VOLUMES)
    for container in containers({"spec": spec}):
        if container.get("securityContext") != RESTRICTED:
            yield f"{container['name']}: securityContext is {container.get('securityContext')}"


def selects(selector: Document, pod: Document) -> bool:
    labels = pod["metadata"]["labels"]
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))


def find_unselected(documents: list[Document]) -> list[str]:
    """Selectors and names that lead to nothing."""
    templates = list(pods(documents).values())
    selectors: list[tuple[str, Document, list[Any]]] = []  # of pods, with the ports that these must have
    for service in of_kind(documents, "Service"):
        ports = [port["targetPort"] for port in service["spec"]["ports"]]
        selectors.append((title(service), {"matchLabels": service["spec"]["selector"]}, ports))
    for policy in of_kind(documents, "NetworkPolicy"):
        ports = [port["port"] for rule in policy["spec"].get("ingress", []) for port in rule["ports"]]
        selectors.append((title(policy), policy["spec"]["podSelector"], ports))
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        peers = [peer for rule in rules for peer in rule.get("from", rule.get("to", [])) if "podSelector" in peer]
        selectors += [(title(policy), peer["podSelector"], []) for peer in peers]
    selectors += [
        (title(budget), budget["spec"]["selector"], []) for budget in of_kind(documents, "PodDisruptionBudget")
    ]
    wrong = [
        name
        for name, selector, ports in selectors
        if not any(selects(selector, pod) and set(ports) <= port_names(pod) for pod in templates)
    ]
    return wrong + list(find_dangling(documents))


def port_names(pod: Document) -> set[str | int]:
    ports = [port for container in containers(pod) for port in container.get("ports", [])]
    return {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def find_dangling(documents: list[Document]) -> Iterator[str]:
    known = {title(document) for document in documents}
    for name, pod in pods(documents).items():
        yield from (f"{name}: {found}" for found in references(pod["spec"]) - known)
    for scaler in of_kind(documents, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if f"{target['kind']}/{target['name']}" not in known:
            yield title(scaler)
    for ingress in of_kind(documents, "Ingress"):
        paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        yield from (title(ingress) for path in paths if f"Service/{path['backend']['service']['name']}" not in known)


def references(spec: Document) -> set[str]:
    sources = [source for container in containers({"spec": spec}) for source in container.get("envFrom", [])]
    sources += [
        one["valueFrom"]
        for container in containers({"spec": spec})
        for one in container.get("env", [])
        if "valueFrom" in one
    ]
    kinds = {
        "configMapRef": "ConfigMap",
        "configMapKeyRef": "ConfigMap",
        "secretRef": "Secret",
        "secretKeyRef": "Secret",
    }
    found = {f"{kinds[kind]}/{value['name']}" for source in sources for kind, value in source.items()}
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in spec.get("volumes", [])
        if "persistentVolumeClaim" in volume
    ]
    return found | {f"PersistentVolumeClaim/{claim}" for claim in claims}


def title(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def find_hasty(documents: list[Document]) -> list[str]:
    """What an update, or a slow server, would take out of service."""
    found = [
        f"{name}: is restarted for what only makes it unready"
        for name, pod in pods(documents).items()
        for container in pod["spec"]["containers"]
        if "livenessProbe" in container and same_probe(container["livenessProbe"], container["readinessProbe"])
    ]
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in of_kind(documents, "HorizontalPodAutoscaler")}
    for deployment in of_kind(documents, "Deployment"):
        spec, name = deployment["spec"], deployment["metadata"]["name"]
        if ("replicas" in spec) == (name in scaled):
            found.append(f"{name}: replicas are set by the autoscaler and here, or nowhere")
        strategy = spec["strategy"]
        if strategy.get("type") != "Recreate" and strategy["rollingUpdate"]["maxUnavailable"] != 0:
            found.append(f"{name}: one ends before the next is ready")
    return found


def same_probe(one: Document, other: Document) -> bool:
    return [one.get(kind) for kind in PROBES] == [other.get(kind) for kind in PROBES]
