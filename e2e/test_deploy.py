"""`make prod-deploy` and `make prod-rollback` while visitors never stop asking."""

import time
from collections.abc import Callable

import pytest

from e2e.deploys import STYLE, Deployed, longest_gap
from e2e.load import Load, Request
from e2e.stack import Stack, ask

RATE, REQUESTS = 100, 10_000
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("customers", "{before}")]
    operations = [migrations.RunSQL("ALTER TABLE customers_customer ADD COLUMN e2e_{number} text", "SELECT 1")]
"""


@pytest.fixture(scope="module")
def deployed(stack_of: Callable[[str], Stack]) -> Deployed:
    return Deployed(stack_of("prod"))


def told(load: Load, seconds: float) -> str:
    return f"{seconds:.1f} s; {load.report()}, longest gap {1000 * longest_gap(load):.0f} ms"


def posts(load: Load) -> list[int]:
    """The numbers of those that were answered as they should be."""
    sent = [
        sample.request.body or "" for sample in load.samples if sample.request.method == "POST" and not sample.failed
    ]
    return sorted(int(body.partition("family_name=")[2].partition("&")[0]) for body in sent)


def test_deploy_with_a_change_of_schema_and_files_loses_nothing(deployed: Deployed) -> None:
    old = Request("GET", deployed.style(), 200)
    version = deployed.commit(
        {
            STYLE: "a { color: blue }\n",
            "customers/migrations/0002_e2e.py": MIGRATION.format(before="0001_initial", number=2),
        }
    )
    with deployed.load(RATE, count=REQUESTS, more=[old, old]) as load:
        time.sleep(3)
        start = time.monotonic()
        said = deployed.stack.make("prod-deploy")
        seconds = time.monotonic() - start
        assert ask(deployed.site, "GET", deployed.style()).status == 200
    print(said, told(load, seconds), sep="\n")
    assert load.failures == []
    assert len(load.samples) == REQUESTS
    assert deployed.style() != old.path
    assert deployed.version == version
    assert deployed.created() == posts(load)
    assert longest_gap(load) <= 1


def test_rollback_takes_less_than_half_a_minute_and_loses_nothing(deployed: Deployed) -> None:
    before = deployed.stack.make("prod-status").split()
    with deployed.load(RATE, count=RATE * 40) as load:
        time.sleep(1)
        start = time.monotonic()
        said = deployed.stack.make("prod-rollback")
        seconds = time.monotonic() - start
    print(said, told(load, seconds), sep="\n")
    assert load.failures == []
    assert seconds <= 30
    assert "does not know customers.0002_e2e" in said
    assert deployed.version in before


def test_scaling_up_and_down_loses_nothing(deployed: Deployed) -> None:
    with deployed.load(RATE, count=RATE * 30) as load:
        time.sleep(1)
        start = time.monotonic()
        deployed.stack.make("prod-scale", "WEB=2")
        both = deployed.web()
        deployed.stack.make("prod-scale", "WEB=1")
        seconds = time.monotonic() - start
    print(told(load, seconds))
    assert load.failures == []
    assert (len(both), len(deployed.web())) == (2, 1)
