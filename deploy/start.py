"""Starts a tier, and says why it did not start: `COMPOSE="docker compose -f FILE" python3 -m deploy.start [OPTION…]`.

The options are those of `docker compose up`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from deploy.tier import DeployError, inspect_containers, last_lines, run

WORKING_DIR = "com.docker.compose.project.working_dir"
WRONG_PASSWORD = "password authentication failed"  # noqa: S105
RECOVERIES = """The volume of the database was created with another password than that of the env file. Write the former
one into the env file; or, if the data may go, delete it with `{compose} down --volumes`, and start again."""


def main(options: list[str]) -> None:
    compose = os.environ["COMPOSE"].split()
    config = json.loads(run([*compose, "config", "--format", "json"]))
    check_owner(config["name"])
    check_settings(compose)
    if subprocess.run([*compose, "up", "--detach", "--wait", *options]).returncode:
        print("\n".join(explain_failures(compose, config["name"])), file=sys.stderr)
        sys.exit(1)
    environment = config["services"]["web"]["environment"]
    if not environment.get("EMAIL_HOST") and not environment.get("EMAIL_BACKEND"):
        print("E-mail is off: set EMAIL_HOST, or people cannot reset their passwords.")


def check_settings(compose: list[str]) -> None:
    """Raise DeployError if the running containers would be replaced by others that cannot start."""
    if run([*compose, "ps", "--quiet", "web"]):
        run([*compose, "run", "--rm", "--no-deps", "-T", "migrate", "python", "manage.py", "check"])


def check_owner(name: str) -> None:
    """Raise DeployError if another checkout has started this project: Compose would replace its containers."""
    for container in inspect_containers(f"project={name}"):
        owner = container["Config"]["Labels"].get(WORKING_DIR, "")
        if owner and Path(owner).is_dir() and not Path(owner).samefile("."):
            raise DeployError(
                f"The containers of the project {name} belong to {owner}. Set COMPOSE_PROJECT in the env file to"
                " another name for this checkout, or stop them there."
            )


def check_subnets(wanted: dict[str, Any]) -> None:
    """Raise DeployError if these networks' addresses are another's: Docker tells neither whose nor which setting's."""
    taken = list_subnets({network["name"] for network in wanted.values()})
    for key, network in wanted.items():
        for subnet in [pool["subnet"] for pool in network.get("ipam", {}).get("config", ())]:
            setting = f"{key.upper()}_SUBNET={subnet}"
            try:
                own = ip_network(subnet, strict=False)
            except ValueError as error:
                raise DeployError(f"{setting}: {error}") from error
            for other, name in taken.items():
                if own.overlaps(ip_network(other)):
                    raise DeployError(
                        f"{setting} overlaps with {other} of the network {name} of this machine. Set it in the env file"
                        " to addresses that are free, such as 10.77.0.0/24."
                    )


def list_subnets(known: set[str]) -> dict[str, str]:
    """Return the networks of this machine, but for the known ones, by their addresses."""
    ids = run(["docker", "network", "ls", "--quiet", "--filter", "scope=local"]).split()
    try:
        networks = json.loads(run(["docker", "network", "inspect", *ids]))
    except DeployError:  # one was just removed
        return {}
    others = [one for one in networks if one["Name"] not in known]
    return {pool["Subnet"]: one["Name"] for one in others for pool in one["IPAM"]["Config"] or ()}


def explain_failures(compose: list[str], name: str) -> Iterator[str]:
    """Yield the end of the log of each container that failed, and what to do where that is known."""
    for container in filter(has_failed, inspect_containers(f"project={name}")):
        log = last_lines(container["Id"])
        yield f"\n{container['Name'].lstrip('/')} failed: {describe_state(container['State'])}. {log}"
        if WRONG_PASSWORD in log:
            yield RECOVERIES.format(compose=" ".join(compose))


def has_failed(container: dict[str, Any]) -> bool:
    state = container["State"]
    return bool(state["ExitCode"]) or state["Status"] == "restarting" or is_unhealthy(state)


def describe_state(state: dict[str, Any]) -> str:
    if is_unhealthy(state):
        return f"unhealthy, {state['Health']['Log'][-1]['Output'].strip()}" if state["Health"]["Log"] else "unhealthy"
    return str(state["Error"] or f"exit code {state['ExitCode']}")


def is_unhealthy(state: dict[str, Any]) -> bool:
    return bool(state.get("Health", {}).get("Status") == "unhealthy")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DeployError as error:
        sys.exit(str(error))
