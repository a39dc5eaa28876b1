import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from e2e.checkout import Checkout, clone
from e2e.site import Site
from e2e.stack import Stack, new_stack
from e2e.visiting import LocalSite, Visitor, log_in, visiting

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
STACKS = pytest.StashKey[list[Stack]]()


@pytest.fixture(scope="session")
def checkout_of() -> Iterator[Callable[[str], Checkout]]:
    """Return the user's checkout, in which everything is installed."""
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


@pytest.fixture
def checkout(request: pytest.FixtureRequest, checkout_of: Callable[[str], Checkout]) -> Iterator[Checkout]:
    """The checkout of the current user, or of the user named by the test."""
    user = getattr(request, "param", "self")
    if user == "nobody" and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    checkout = checkout_of(user)
    yield checkout
    for run in checkout.runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(30)
    checkout.assert_nothing_runs()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"There is no Chromium at {CHROMIUM}: install it, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, *arguments])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def local_site(checkout_of: Callable[[str], Checkout], browser: Browser) -> Iterator[LocalSite]:
    """A separate run, with its administrator logged in."""
    checkout = checkout_of("second")
    run = checkout.make("run")
    run.seconds_to_served()
    site = LocalSite(checkout, run)
    context = browser.new_context()
    log_in(context.new_page(), site)
    site.state = context.storage_state()
    yield site
    site.stop()
    checkout.assert_nothing_runs()


@pytest.fixture
def visit(local_site: LocalSite, browser: Browser) -> Callable[..., AbstractContextManager[Visitor]]:
    return partial(visiting, local_site, browser)


@pytest.fixture(scope="module")
def browser_of() -> Iterator[Callable[[Site], Browser]]:
    """Return a function that opens a browser in which the site's name resolves to this machine."""
    with ExitStack() as browsers:

        def start(site: Site) -> Browser:
            rule = f"--host-resolver-rules=MAP {site.name}:443 127.0.0.1:{site.port}"
            return browsers.enter_context(chromium(rule))

        yield start


@pytest.fixture(scope="session")
def engine() -> None:
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        return
    if "CI" in os.environ:
        pytest.fail("`docker info` fails: CI must have a container engine.")
    pytest.skip("`docker info` fails: there is no container engine to test with")


@pytest.fixture(scope="module")
def stack_of(engine: None, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Stack]]:
    """Return a function that creates a stack of a tier, which is removed after the module's last test."""
    with new_stacks(request.config) as make:
        yield make


@contextmanager
def new_stacks(config: pytest.Config) -> Iterator[Callable[[str], Stack]]:
    stacks: list[Stack] = config.stash.setdefault(STACKS, [])
    own: list[Stack] = []

    def make(tier: str) -> Stack:
        # Not pytest's own directory, which nobody but its owner may enter.
        directory = Path(tempfile.mkdtemp(prefix="e2e-"))
        directory.chmod(0o755)
        own.append(new_stack(tier, directory))
        stacks.append(own[-1])
        return own[-1]

    try:
        yield make
    finally:  # also if a fixture fails to start its stack
        for stack in own:
            stack.remove()
            stacks.remove(stack)
            assert [stack.list_resources(kind) for kind in ("container", "volume", "network")] == [[], [], []]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the containers' logs of a failed test, and show their last lines."""
    report = yield
    stacks = item.config.stash.get(STACKS, []) if report.failed else []
    for stack in stacks:
        file = item.config._tmp_path_factory.mktemp("logs") / f"{stack.project}.log"  # type: ignore[attr-defined]
        report.sections.append((f"containers of {stack.project}, all in {file}", stack.keep_logs(file)))
    return report
