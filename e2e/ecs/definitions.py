"""The task definitions in deploy/ecs as `make ecs-render` writes them, and what may be wrong with them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e.checkout import SOURCE
from e2e.kubernetes.manifests import TOOLS, run

FOLDER = "deploy/ecs"
PARAMETERS = Path(__file__).with_name("parameters.py")
DIGEST, CERTIFICATES_DIGEST = f"sha256:{64 * 'a'}", f"sha256:{64 * 'b'}"
# As in docker/compose. The init is that of the image, which an entryPoint would leave out.
HARDENED = {
    "user": "10001:10001",
    "readonlyRootFilesystem": True,
    "linuxParameters": {
        "capabilities": {"drop": ["ALL"]},
        "tmpfs": [{"containerPath": "/tmp", "size": 256, "mountOptions": ["noexec", "nosuid", "nodev"]}],
    },
    "entryPoint": None,
}
# Where CloudFormation has other names than the API, apart from the first letter
PROPERTIES = {"efsVolumeConfiguration": "EFSVolumeConfiguration", "fileSystemId": "FilesystemId", "iam": "IAM"}
EXAMPLE = (SOURCE / ".env.example").read_text()
SETTINGS = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
SECRETS = {name.removesuffix("_FILE") for name in re.findall(r"[A-Z_]+_FILE", EXAMPLE)}
Definition = dict[str, Any]


def copy_sources(target: Path) -> Path:
    shutil.copytree(SOURCE / "deploy", target / "deploy", ignore=shutil.ignore_patterns("__pycache__", "kubernetes"))
    shutil.copy(SOURCE / "Makefile", target)
    return target


def render(sources: Path) -> dict[str, Path]:
    """Return the files by the name of their task."""
    done = make_render(sources, f"DIGEST={DIGEST}", f"CERTIFICATES_DIGEST={CERTIFICATES_DIGEST}")
    assert done.returncode == 0, done.stderr
    return {file.stem: file for file in (sources / ".local/ecs").glob("*.json")}


def make_render(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("make", "--no-print-directory", "ecs-render", *arguments, cwd=sources)


def load(file: Path) -> Definition:
    definition: Definition = json.loads(file.read_text())
    return definition


def container_of(definition: Definition) -> Definition:
    (container,) = definition["containerDefinitions"]
    return dict(container)


def find_unknown_parameters(file: Path) -> str:
    done = run(TOOLS / "python", PARAMETERS, file, cwd=file.parent)
    return (done.stdout + done.stderr).strip()


def find_invalid_properties(file: Path) -> str:
    """What CloudFormation would refuse."""
    resource = {"Type": "AWS::ECS::TaskDefinition", "Properties": to_properties(load(file))}
    template = file.with_suffix(".template")
    template.write_text(json.dumps({"Resources": {"Task": resource}}))
    done = run(TOOLS / "cfn-lint", "--format", "parseable", template, cwd=file.parent)
    return done.stdout + done.stderr if done.returncode else ""


def to_properties(value: Any) -> Any:
    if isinstance(value, list):
        return [to_properties(one) for one in value]
    if not isinstance(value, dict):
        return value
    # The names of a log driver's options are its own.
    return {
        PROPERTIES.get(name, name[0].upper() + name[1:]): one if name == "options" else to_properties(one)
        for name, one in value.items()
    }


def find_unsafe(file: Path) -> list[str]:
    """What ECS accepts, and we do not."""
    definition = load(file)
    return [*weaknesses(definition), *find_misplaced_settings(container_of(definition))]


def weaknesses(definition: Definition) -> Iterator[str]:
    container = container_of(definition)
    for name, value in HARDENED.items():
        if container.get(name) != value:
            yield f"{name} is {container.get(name)}, not {value}"
    if not re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", container["image"]):
        yield f"image {container['image']}: its content may change; name it by digest"
    if "stopTimeout" not in container:
        yield "stopTimeout is missing: it must fit to what the process waits for"
    if "healthCheck" not in container and not definition["family"].endswith("-migrate"):
        yield "healthCheck is missing: ECS does not know that of the image"
    if container.get("logConfiguration", {}).get("logDriver") != "awslogs":
        yield "nobody keeps its log"
    for volume in definition.get("volumes", []):
        if volume.get("efsVolumeConfiguration", {}).get("transitEncryption") != "ENABLED":
            yield f"volume {volume['name']} is not encrypted on its way"


def find_misplaced_settings(container: Definition) -> Iterator[str]:
    for name in [one["name"] for one in container["environment"]]:
        if name in SECRETS:
            yield f"{name} is a secret: whoever lists task definitions would read it"
        if name not in SETTINGS:
            yield f"{name} is not in .env.example"
    for secret in container["secrets"]:
        if secret["name"] not in SECRETS or not secret["valueFrom"].startswith("arn:aws"):
            yield f"{secret} is not the ARN of a secret that the application knows"
