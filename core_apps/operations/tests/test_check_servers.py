import os
import subprocess
import sys

import pytest
from django.conf import settings

MANAGE = [sys.executable, "manage.py", "check_servers"]


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        MANAGE, cwd=settings.BASE_DIR, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_servers_that_answer():
    done = check()

    assert (done.returncode, done.stdout) == (0, "DATABASE_URL, REDIS_URL, BROKER_URL can be reached.\n")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DATABASE_URL": "postgresql://app@127.0.0.1:1/exhibition"}, "Connection refused"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Connection refused"),
        ({"BROKER_URL": "redis://127.0.0.1:1/0"}, "Connection refused"),
        ({"BROKER_URL": "rediss://127.0.0.1:1/0"}, "Connection refused"),
    ],
)
def test_setting_of_a_server_that_cannot_be_reached_is_named(environment, reason):
    (setting,) = environment

    done = check(**environment)

    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "CommandError: " in line]
    assert line.startswith(f"CommandError: {setting}: ")
    assert reason in line
