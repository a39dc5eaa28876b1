from collections.abc import Iterator

import pytest

from e2e.conftest import new_stacks
from e2e.observability.observed import Observed
from e2e.stack import remove_project


@pytest.fixture(scope="package")
def prometheus(engine: None, request: pytest.FixtureRequest) -> Iterator[Observed]:
    """A prod tier that is watched by Prometheus."""
    with new_stacks(request.config) as new_stack:
        stack = new_stack("prod")
        try:
            yield Observed(stack)
        finally:
            remove_project(f"{stack.project.removesuffix('-prod')}-observability")
