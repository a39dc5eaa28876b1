"""Deploys the stack that deploy.render_swarm has written: `python3 -m deploy.swarm .local/swarm/stack.json`.

The services up to `migrate` come first, one at a time; nothing else changes until it has ended.
"""

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.tier import DeployError, run

Document = dict[str, Any]
# Seconds until all services are healthy, and how long they must be: Swarm notices a new definition a moment later.
LIMIT, CALM = 600, 5
ADVICE = "Some services may have the new version: deploy the former one again, so that all have it."


def main(file: Path) -> None:
    stack = json.loads(file.read_text())
    check_node()
    for service in stack["services"].values():
        if service["image"].startswith(f"{stack['x-name']}-"):
            service["image"] = pin(service["image"])
    names = list(stack["services"])
    for name in names[: names.index("migrate") + 1]:
        print(f"{name} …", flush=True)
        (run_job if is_job(stack, name) else deploy)(stack, name)
    print("all others …", flush=True)
    deploy(stack, *(name for name in names if not is_job(stack, name)), prune=True)


def check_node() -> None:
    """Raise DeployError unless this node alone has the label."""
    node = run(["docker", "info", "--format", "{{.Swarm.NodeID}}"]).strip()
    if run(["docker", "node", "ls", "--quiet", "--filter", "node.label=crm.data=true"]).split() != [node]:
        raise DeployError(
            "This must be the node that keeps the data, and the only one with its label:"
            f" docker node update --label-add crm.data=true {node or 'NODE'}"
        )


def pin(image: str) -> str:
    """Name an image that `make prod-build` has built here after its content: a service changes only with its name."""
    try:
        content = run(["docker", "image", "inspect", "--format", "{{.Id}}", image]).removeprefix("sha256:")[:12]
    except DeployError as error:
        raise DeployError(f"There is no image {image} on this node: make prod-build") from error
    name = f"{image.partition(':')[0]}:{content}"
    run(["docker", "tag", image, name])
    return name


def is_job(stack: Document, name: str) -> bool:
    return str(stack["services"][name]["deploy"].get("mode")).endswith("-job")


def deploy(stack: Document, *names: str, prune: bool = False) -> None:
    """Deploy services, and wait until they are healthy."""
    submit(stack, names, *(["--prune"] if prune else []))
    deadline, calm = time.monotonic() + LIMIT, 0
    while calm < CALM:
        time.sleep(1)
        unsettled = find_unsettled([f"{stack['x-name']}_{name}" for name in names])
        calm = 0 if unsettled else calm + 1
        if time.monotonic() > deadline:
            errors = {task["Error"] for service in unsettled for task in find_tasks(service)} - {""}
            raise DeployError(
                "\n".join([f"After {LIMIT} s not healthy: {', '.join(unsettled)}", *sorted(errors), ADVICE])
            )


def submit(stack: Document, names: Sequence[str], *options: str) -> None:
    part = stack | {"services": {name: stack["services"][name] for name in names}}
    options = ("--detach=true", "--with-registry-auth", "--resolve-image=never", *options)
    command = ["docker", "stack", "deploy", "--compose-file=-", *options, stack["x-name"]]
    run(command, stream_output=True, stdin=json.dumps(part))


def find_unsettled(services: Sequence[str]) -> list[str]:
    """Those that are not yet what they should be; raise DeployError for one that Swarm has given up."""
    listed = run(["docker", "service", "ls", "--format", "{{.Name}} {{.Replicas}}"])
    replicas = dict(line.split()[:2] for line in listed.splitlines())
    unsettled = {name for name in services if len(set(replicas[name].split("/"))) > 1}
    for facts in json.loads(run(["docker", "service", "inspect", *services])):
        name, update = facts["Spec"]["Name"], facts.get("UpdateStatus", {"State": "completed"})
        if update["State"] == "updating":
            unsettled.add(name)
        elif update["State"] != "completed":
            raise DeployError(f"{name}: {update['Message']}\n{ADVICE}")
    return sorted(unsettled)


def run_job(stack: Document, name: str) -> None:
    service = f"{stack['x-name']}_{name}"
    # Swarm would not run the same one again.
    remove(service)
    submit(stack, [name])
    while not (tasks := find_tasks(service)) or not all(has_ended(task) for task in tasks):
        time.sleep(1)
    print(run(["docker", "service", "logs", "--raw", service]), end="", flush=True)
    remove(service)
    if failures := {f"{task['Node']}: {task['Error']}" for task in tasks if task["Error"]}:
        raise DeployError("\n".join([f"{name} failed; nothing else was changed.", *sorted(failures)]))


def remove(service: str) -> None:
    with contextlib.suppress(DeployError):
        run(["docker", "service", "rm", service])


def find_tasks(service: str) -> list[Document]:
    found = run(["docker", "service", "ps", "--no-trunc", "--format", "{{json .}}", service])
    return [json.loads(line) for line in found.splitlines()]


def has_ended(task: Document) -> bool:
    """Also of one that no node can run: it has an error while it waits."""
    return bool(task["Error"] or task["CurrentState"].startswith("Complete"))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except DeployError as error:
        sys.exit(str(error))
