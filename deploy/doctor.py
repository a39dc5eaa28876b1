"""Checks the requirements of a tier and changes nothing: `ENV_FILE=.env python3 -m deploy.doctor COMPOSE_FILE…`.

Exits with 1 if one is not met.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.init import SECRETS

# The oldest versions with what the files use: `start_interval`, and `!reset` with `env_file.required`.
ENGINE, COMPOSE = (25, 0), (2, 24)
ENV_FILE = Path(os.environ.get("ENV_FILE", ".env"))
MEMORY, DISK = 2, 5  # GiB

Finding = tuple[bool, str]
"""Whether the requirement is met, and the message; if it is not met, with what to do."""


def main(compose_files: list[str]) -> int:
    findings = list(examine(compose_files))
    for is_met, text in findings:
        print(f"{'ok  ' if is_met else 'FAIL'}  {text}")
    return 0 if all(is_met for is_met, _ in findings) else 1


def examine(compose_files: list[str]) -> Iterator[Finding]:
    if not shutil.which("docker"):
        yield False, "docker is not installed: https://docs.docker.com/engine/install/"
        return
    yield check_version("Docker Engine", ["docker", "version", "--format", "{{.Server.Version}}"], ENGINE)
    yield check_version("Docker Compose", ["docker", "compose", "version", "--short"], COMPOSE)
    for compose_file in compose_files:
        yield from check_ports(compose_file)
    yield check_memory()
    yield check_disk()
    yield check_env_file(ENV_FILE)
    yield check_clock()


def check_version(name: str, command: list[str], oldest: tuple[int, int]) -> Finding:
    done = subprocess.run(command, capture_output=True, text=True)
    wanted = ".".join(map(str, oldest))
    match = re.search(r"(\d+)\.(\d+)[^\s]*", done.stdout)
    if done.returncode or not match:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return False, f"{name} {wanted} or newer is required, but it does not answer: {reason}"
    is_met = (int(match[1]), int(match[2])) >= oldest
    return is_met, f"{name} {match[0]}" + ("" if is_met else f" is too old: {wanted} or newer is required")


def check_ports(compose_file: str) -> Iterator[Finding]:
    """Check the ports that the tier publishes, unless it is running already."""
    secrets = dict.fromkeys((*SECRETS, "DOMAIN"), "unused")
    settings = ["--env-file", str(ENV_FILE)] if ENV_FILE.exists() else []
    compose = ["docker", "compose", *settings, "-f", compose_file]
    config = subprocess.run(
        [*compose, "config", "--format", "json"], capture_output=True, text=True, env=secrets | dict(os.environ)
    )
    if config.returncode:
        yield False, f"{compose_file} cannot be read: {config.stderr.strip()}"
        return
    running = subprocess.run([*compose, "ps", "-q"], capture_output=True, text=True, env=secrets | dict(os.environ))
    for name, service in json.loads(config.stdout)["services"].items():
        for port in service.get("ports", ()) if not running.stdout else ():
            yield check_port(port.get("host_ip", "0.0.0.0"), int(port["published"].split("-")[0]), name)  # noqa: S104


def check_port(address: str, port: int, service: str) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return False, f"port {port} for {service} is in use ({error.strerror}): stop what listens there"
    return True, f"port {port} is free for {service}"


def check_memory() -> Finding:
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return gibibytes >= MEMORY, f"{gibibytes:.0f} GiB of memory; {MEMORY} are required"


def check_disk() -> Finding:
    gibibytes = shutil.disk_usage(".").free / 2**30
    return gibibytes >= DISK, f"{gibibytes:.0f} GiB of disk space free; {DISK} are required"


def check_env_file(path: Path) -> Finding:
    if not path.exists():
        return True, f"{path} does not exist yet: the first start creates it with new secrets"
    if path.stat().st_mode & 0o077:
        return False, f"{path} is readable by others: chmod 600 {path}"
    if re.search(r"^export ", path.read_text(encoding="utf-8"), re.M):
        return False, f"{path} uses `export`, which the application does not understand: write NAME=value"
    return True, f"{path} is readable only by you"


def check_clock() -> Finding:
    """Compare it with the newest file of the checkout: a slow clock breaks sessions and certificates."""
    newest = max(path.stat().st_mtime for path in Path(".").iterdir())
    is_met = newest <= time.time() + 60
    return is_met, "the clock is " + ("not behind" if is_met else "behind the files here: set it, then start again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
