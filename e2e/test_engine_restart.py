"""A reboot: all containers end at once, and the prod tier starts again."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from e2e.site import Site, ask
from e2e.stack import Stack, seconds_until

SERVICES = (
    "db",
    "redis",
    "broker",
    "web",
    "celery-worker",
    "celery-certificates",
    "celery-beat",
    "nginx",
    "certbot",
    "backup",
)
SECONDS = 60


@pytest.fixture(scope="module")
def prod(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("prod")
    stack.make("prod-up")
    return stack


def restart_engine() -> None:
    """Restart the engine through systemd or, without it, with its command and mounts."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "restart", "docker"], check=True)
        return
    (engine,) = [process for process in psutil.process_iter() if process.name() == "dockerd"]
    command = engine.cmdline()
    mounts = os.open(f"/proc/{engine.pid}/ns/mnt", os.O_RDONLY)
    engine.terminate()
    engine.wait(SECONDS)
    start = ["setsid", "--fork", "nsenter", f"--mount=/proc/self/fd/{mounts}", *command]
    nowhere = subprocess.DEVNULL
    subprocess.run(start, pass_fds=[mounts], stdin=nowhere, stdout=nowhere, stderr=nowhere, check=True)
    os.close(mounts)


@pytest.mark.full  # it ends every container of this machine for a moment
def test_tier_is_healthy_again_without_hands(prod: Stack) -> None:
    containers = [prod.container(service) for service in SERVICES]
    restart_engine()
    start = time.monotonic()
    seconds_until(lambda: subprocess.run(["docker", "info"], capture_output=True).returncode == 0, SECONDS)
    seconds_until(lambda: [prod.health(service) for service in SERVICES] == ["healthy"] * len(SERVICES), SECONDS)
    seconds = time.monotonic() - start
    print(f"healthy {seconds:.1f} s after the engine started")
    assert ask(Site("localhost", prod.ports["nginx"]), "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert [prod.container(service) for service in SERVICES] == containers
    assert seconds <= SECONDS
