"""What a newcomer lacks, before anything is changed: `python3 -m deploy.doctor COMPOSE_FILE…`.

Exit 1 when something is missing.
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

# The oldest that know what the files use: `start_interval`, and `!reset` with `env_file.required`.
ENGINE, COMPOSE = (25, 0), (2, 24)
MEMORY, DISK = 2, 5  # GiB

Finding = tuple[bool, str]
"""Whether it is as it should be, and what was found; where it is not, also what to do."""


def main(compose_files: list[str]) -> int:
    findings = list(examine(compose_files))
    for fine, text in findings:
        print(f"{'ok  ' if fine else 'LACK'}  {text}")
    return 0 if all(fine for fine, _ in findings) else 1


def examine(compose_files: list[str]) -> Iterator[Finding]:
    if not shutil.which("docker"):
        yield False, "docker is not installed: https://docs.docker.com/engine/install/"
        return
    yield version("Docker Engine", ["docker", "version", "--format", "{{.Server.Version}}"], ENGINE)
    yield version("Docker Compose", ["docker", "compose", "version", "--short"], COMPOSE)
    for compose_file in compose_files:
        yield from ports(compose_file)
    yield memory()
    yield disk()
    yield env_file(Path(".envs/.env.production" if "docker-compose.prod.yml" in compose_files else ".env"))
    yield clock()


def version(name: str, command: list[str], oldest: tuple[int, int]) -> Finding:
    done = subprocess.run(command, capture_output=True, text=True)
    wanted = ".".join(map(str, oldest))
    found = re.search(r"(\d+)\.(\d+)[^\s]*", done.stdout)
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return False, f"{name} {wanted} or newer is needed, and it does not answer: {reason}"
    fine = (int(found[1]), int(found[2])) >= oldest
    return fine, f"{name} {found[0]}" + ("" if fine else f" is too old: {wanted} or newer is needed")


def ports(compose_file: str) -> Iterator[Finding]:
    """Those that the tier publishes and that its own containers do not hold already."""
    secrets = dict.fromkeys(("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "DOMAIN"), "unused")
    compose = ["docker", "compose", "-f", compose_file]
    config = subprocess.run(
        [*compose, "config", "--format", "json"], capture_output=True, text=True, env=secrets | dict(os.environ)
    )
    if config.returncode:
        yield False, f"{compose_file} cannot be read: {config.stderr.strip()}"
        return
    running = subprocess.run([*compose, "ps", "-q"], capture_output=True, text=True, env=secrets | dict(os.environ))
    for name, service in json.loads(config.stdout)["services"].items():
        for port in service.get("ports", ()) if not running.stdout else ():
            yield free(port.get("host_ip", "0.0.0.0"), int(port["published"].split("-")[0]), name)  # noqa: S104


def free(address: str, port: int, service: str) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return False, f"port {port} for {service} is not free ({error.strerror}): stop what listens there"
    return True, f"port {port} is free for {service}"


def memory() -> Finding:
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return gibibytes >= MEMORY, f"{gibibytes:.0f} GiB of memory; {MEMORY} are needed"


def disk() -> Finding:
    gibibytes = shutil.disk_usage(".").free / 2**30
    return gibibytes >= DISK, f"{gibibytes:.0f} GiB of disk are free; {DISK} are needed"


def env_file(path: Path) -> Finding:
    if not path.exists():
        return True, f"{path} is not there yet: the first start generates its secrets"
    if path.stat().st_mode & 0o077:
        return False, f"{path} can be read by others: chmod 600 {path}"
    if re.search(r"^export ", path.read_text(encoding="utf-8"), re.M):
        return False, f"{path} has `export` in it, which the application does not read: write NAME=value"
    return True, f"{path} can be read by you alone"


def clock() -> Finding:
    """Against the newest file of the checkout: a clock that lags behind it breaks sessions and certificates."""
    newest = max(path.stat().st_mtime for path in Path(".").iterdir())
    fine = newest <= time.time() + 60
    return fine, "the clock " + ("is not behind" if fine else "is behind the files here: set it, then start again")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
