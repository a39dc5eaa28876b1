"""Gives a test run engines and settings of its own; loaded by `addopts`, so plain `pytest` has them too."""

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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Set the environment up before pytest-django, in the same hook, imports the settings."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ["REDIS_URL"] = with_database(os.environ["REDIS_URL"], 1 + int(worker.removeprefix("gw")))
    else:
        stack = ExitStack()
        early_config.add_cleanup(stack.close)
        os.environ.update(start_engines(stack))
    yield


def start_engines(stack: ExitStack) -> dict[str, str]:
    """Start engines that stop with the stack, and return the environment for this run and its workers.

    What a person's environment names is used; what .env names is not, for tests empty the cache they are given.
    """
    given = [name for name in SERVERS if os.environ.get(name)]
    try:
        directory = stack.enter_context(scratch_directory(LOCAL / "test"))
        urls = stack.enter_context(engines(directory, durable=False, given=given))
    except RunError as error:
        raise pytest.UsageError(str(error)) from None
    return testing_environment(directory) | urls


def testing_environment(directory: Path) -> dict[str, str]:
    """Only what has no default: tests see what production does, whatever the person has set."""
    documented = re.findall(r"^#?([A-Z_]+)=", (CHECKOUT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    return {name: "" for name in documented if name not in SERVERS} | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "tests-need-no-secret-but-the-settings-demand-fifty-characters",
        "ALLOWED_HOSTS": "testserver,localhost",
        "STATIC_ROOT": str(directory / "static"),
        "MEDIA_ROOT": str(directory / "media"),
        "WEB_CONCURRENCY": "0",  # Gunicorn reads it as well, and takes no blank
    }


def with_database(url: str, number: int) -> str:
    """Return the Redis URL with the database that is `number` after its own."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{int(parts.path.strip('/') or 0) + number}"))
