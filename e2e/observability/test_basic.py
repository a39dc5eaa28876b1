"""The basic tier, watched: it has neither nginx nor backups, and one worker for everything."""

import time
from collections.abc import Iterator

import pytest

from e2e.conftest import new_stacks
from e2e.observability.observed import query
from e2e.stack import Stack, docker, free_ports, remove_project, seconds_until

pytestmark = pytest.mark.full
MEASURED = {"web", "celery-worker", "celery-beat", "celery-certificates", "web:8001", "redis", "broker"}
MEASURED |= {"postgres-exporter:9187", "node-exporter:9100", "localhost:9090", "alertmanager:9093"}
LONGEST_SECONDS = 45  # for which an alert of something that is not there would be pending, and then some


@pytest.fixture(scope="module")
def basic(engine: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    with new_stacks(request.config) as new_stack:
        stack = new_stack("basic")
        # As users have it: one name in the env file for both projects.
        name, (port,) = stack.environment.pop("COMPOSE_PROJECT_NAME"), free_ports(1)
        stack.environment |= {"COMPOSE_PROJECT": name, "PROMETHEUS_PORT": str(port)}
        stack.ports["prometheus"] = port
        try:
            stack.make("up")
            stack.make("obs-up", "TIER=basic")
            yield stack
        finally:
            remove_project(f"{name}-observability")


def list_measured(stack: Stack) -> set[str]:
    series = query(stack.ports["prometheus"], "up == 1")
    return {one["metric"].get("service", one["metric"]["instance"]) for one in series}


def list_alerts(stack: Stack) -> set[str]:
    """Return those that fire or soon will, but for the machine's own."""
    return {
        one["metric"]["alertname"] for one in query(stack.ports["prometheus"], 'ALERTS{severity!="none",job!="node"}')
    }


def test_what_the_basic_tier_has_is_measured_and_nothing_else_missed(basic: Stack) -> None:
    seconds_until(lambda: list_measured(basic) == MEASURED, 60)
    time.sleep(LONGEST_SECONDS)
    assert (list_alerts(basic), list_measured(basic)) == (set(), MEASURED)
    assert query(basic.ports["prometheus"], "pg_up == 1")
    assert len(query(basic.ports["prometheus"], "redis_up == 1")) == 2


def test_worker_of_the_basic_tier_that_is_gone_is_told(basic: Stack) -> None:
    docker("kill", basic.container("celery-worker"))
    seconds = seconds_until(lambda: "WorkerDown" in basic.make("obs-status", "TIER=basic"), 60)
    docker("start", basic.container("celery-worker"))
    print(f"WorkerDown after {seconds:.0f} s")
    assert seconds <= 45


def test_tier_that_is_stopped_while_it_is_watched_starts_again(basic: Stack) -> None:
    assert "still watches it, in its networks: make obs-down TIER=basic" in basic.make("down")
    basic.make("up")
    seconds_until(lambda: list_measured(basic) == MEASURED, 60)
    assert "make obs-down" not in basic.make("obs-down", "TIER=basic") + basic.make("down")
