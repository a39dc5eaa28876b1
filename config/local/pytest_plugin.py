"""Gives a test run its own engines and settings; loaded by `addopts`, so that plain `pytest` has them too."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from config.local.defaults import CHECKOUT, LOCAL
from config.local.engines import SERVERS, engines, scratch_directory
from config.local.servers import RunError

# As the servers: those of the environment are used, for the tests of uploaded files.
BUCKET = ("MEDIA_BUCKET", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Set the environment before pytest-django imports the settings in the same hook."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        for name in ("REDIS_URL", "BROKER_URL"):
            os.environ[name] = replace_database(os.environ[name], 1 + int(worker.removeprefix("gw")))
    else:
        stack = ExitStack()
        early_config.add_cleanup(stack.close)
        os.environ.update(start_engines(stack))
    yield


def start_engines(stack: ExitStack) -> dict[str, str]:
    """Start engines that stop with the stack, and return the environment for this run and its workers.

    Servers set in the environment are used; those in .env are not, because tests empty their cache.
    """
    external = [name for name in SERVERS if os.environ.get(name)]
    try:
        directory = stack.enter_context(scratch_directory(LOCAL / "test"))
        urls = stack.enter_context(engines(directory, durable=False, external=external))
    except RunError as error:
        raise pytest.UsageError(str(error)) from None
    return build_test_environment(directory) | urls


def build_test_environment(directory: Path) -> dict[str, str]:
    """Return only settings without a default, so that tests run with production's settings whatever is in .env."""
    documented = re.findall(r"^#?([A-Z_]+)=", (CHECKOUT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    given = {name: os.environ.get(name, "") if name in BUCKET else "" for name in documented if name not in SERVERS}
    return given | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "tests-need-no-secret-but-the-settings-demand-fifty-characters",
        "ALLOWED_HOSTS": "testserver,localhost",
        "STATIC_ROOT": str(directory / "static"),
        "MEDIA_ROOT": str(directory / "media"),
        "WEB_CONCURRENCY": "0",  # Gunicorn reads it too, and refuses a blank value
    }


def replace_database(url: str, number: int) -> str:
    """Return the Redis URL with `number` added to that of its database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{int(parts.path.strip('/') or 0) + number}"))
