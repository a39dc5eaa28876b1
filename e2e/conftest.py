import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.checkout import Checkout, clone


@pytest.fixture(scope="session")
def checkout_of() -> Iterator[Callable[[str], Checkout]]:
    """Returns the user's checkout; `make run` in it has already installed what it needs."""
    made: dict[str, Checkout] = {}
    # Not pytest's own directory, which nobody but its owner may enter.
    base = Path(tempfile.mkdtemp(prefix="e2e-"))
    base.chmod(0o755)

    def get(user: str) -> Checkout:
        if user not in made:
            (base / user).mkdir()
            made[user] = clone(base / user, "self" if user == "second" else user)
        return made[user]

    yield get
    shutil.rmtree(base)


@pytest.fixture(params=["self", "nobody"])
def checkout(request: pytest.FixtureRequest, checkout_of: Callable[[str], Checkout]) -> Iterator[Checkout]:
    """As whoever runs the tests, and, where that is root, as an ordinary user too."""
    if request.param == "nobody" and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    checkout = checkout_of(request.param)
    yield checkout
    for run in checkout.runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(30)
    checkout.assert_nothing_runs()
