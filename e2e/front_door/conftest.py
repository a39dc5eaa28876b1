from collections.abc import Iterator

import pytest

from e2e.conftest import new_stacks
from e2e.front_door.front import Front, open_front


@pytest.fixture(scope="package")
def shared_front(engine: None, request: pytest.FixtureRequest) -> Iterator[Front]:
    """One prod tier for all modules of this package, which do not change it."""
    with new_stacks(request.config) as stack_of:
        yield open_front(stack_of("prod"))


@pytest.fixture(scope="module")
def front(shared_front: Front) -> Front:
    """The tier with a new nginx per module, without settings and request counts of others."""
    shared_front.recreate(SECURE_HSTS_PRELOAD="", TRUSTED_PROXIES="")
    return shared_front
