from collections.abc import Iterator

import pytest

from e2e.conftest import new_stacks
from e2e.observability.observed import Observed

FILES = ("--env-file", ".envs/.env.production", "--file", "docker-compose.observability.yml")


@pytest.fixture(scope="package")
def prometheus(engine: None, request: pytest.FixtureRequest) -> Iterator[Observed]:
    """A prod tier that is watched by Prometheus."""
    with new_stacks(request.config) as new_stack:
        stack = new_stack("prod")
        try:
            yield Observed(stack)
        finally:
            stack.compose(*FILES, "down", "--volumes", "--remove-orphans")
