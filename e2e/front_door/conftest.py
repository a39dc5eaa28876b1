from collections.abc import Iterator

import pytest

from e2e.conftest import new_stacks
from e2e.front_door.exceptions import find_reason
from e2e.front_door.front import Front, open_front

FRONTS = ["nginx", pytest.param("caddy", marks=pytest.mark.full)]
TIERS = {"nginx": "prod", "caddy": "caddy"}


@pytest.fixture(scope="package", params=FRONTS)
def shared_front(engine: None, request: pytest.FixtureRequest) -> Iterator[Front]:
    """One tier for all modules of this package, which do not change it."""
    with new_stacks(request.config) as stack_of:
        yield open_front(stack_of(TIERS[request.param]))


@pytest.fixture(scope="module")
def front(shared_front: Front) -> Front:
    """The tier with a new front per module, without settings and request counts of others."""
    shared_front.recreate(SECURE_HSTS_PRELOAD="", TRUSTED_PROXIES="")
    return shared_front


@pytest.fixture(autouse=True)
def expect_exceptions(request: pytest.FixtureRequest, front: Front) -> None:
    """What Caddy is known not to do must fail: an exception that is not needed any more is removed."""
    if front.stack.front == "caddy" and (reason := find_reason(request.node.name)):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
