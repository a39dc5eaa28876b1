"""A tier that is watched: what measures it exposes, and the alerts that real faults cause.

The rules and the intervals are those that are shipped.
"""

import re
import secrets
import time

import pytest

from e2e.load import Request
from e2e.observability.dashboards import name_metrics, name_occasional, queries
from e2e.observability.faults import CERTIFICATE, FAULTS
from e2e.observability.observed import Observed
from e2e.site import ask
from e2e.stack import BOUNDED, docker, seconds_until

EXPORTERS = [f"{name}-exporter" for name in ("postgres", "redis", "broker", "nginx", "blackbox", "node")]
SERVICES = ["prometheus", "alertmanager", *EXPORTERS]
PATHS = ["/metrics", "/metrics/database", "/stub_status", "/alerts", "/api/v1/query?query=up", "/-/reload"]
MEGABYTES = 300
IN_CI = {"WebDown", "DatabaseDown", "WorkerDown"}
DOWN_SECONDS, SECONDS = 30, 60
# Those that look back for so long
WINDOW_SECONDS = {"ServerErrors": 360, "SlowResponses": 360, "RestartLoop": 660}
QUIET_SECONDS = 15 * 60
NO_OTHER_SECONDS = 20  # for which nothing else may be notified


@pytest.mark.parametrize("service", SERVICES)
def test_container_of_the_observability_tier_is_bounded(service: str, prometheus: Observed) -> None:
    assert prometheus.watching.bounds(service) == BOUNDED


def test_only_prometheus_is_published_and_on_loopback(prometheus: Observed) -> None:
    port = prometheus.watching.ports["prometheus"]
    assert prometheus.watching.list_published() == {"prometheus:9090/tcp": f"127.0.0.1:{port}"}


@pytest.mark.parametrize("path", PATHS)
def test_no_address_of_the_site_leads_to_metrics(path: str, prometheus: Observed) -> None:
    assert ask(prometheus.site, "GET", path, {"Host": "localhost"}).status == 404


def test_observability_tier_is_small(prometheus: Observed) -> None:
    containers = [prometheus.watching.container(service) for service in SERVICES]
    found = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *containers)
    megabytes = sum(float(size) for size in re.findall(r"^([0-9.]+)MiB /", found, re.M))
    print(f"memory of the observability tier: {megabytes:.0f} MB")
    assert 0 < megabytes <= MEGABYTES


def test_role_of_metrics_reads_no_table(prometheus: Observed) -> None:
    privileges = "has_table_privilege('metrics', oid, 'SELECT')"
    tables = "relkind = 'r' AND relnamespace = 'public'::regnamespace"
    assert prometheus.sql(f"SELECT count(*) FROM pg_class WHERE {tables} AND {privileges}") == "0"
    assert prometheus.sql("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'metrics'") == "f|f"


def test_alert_is_sent_by_email_and_shown_by_make(prometheus: Observed) -> None:
    prometheus.add_alert("alertname=Invented", "severity=ticket", "--annotation=summary=x")
    mail = prometheus.watching.container("mail")
    seconds_until(lambda: "Invented" in docker("logs", mail), 30)
    assert re.search(r"^To: operator@example\.com", docker("logs", mail), re.M)
    assert "Invented" in prometheus.stack.make("prod-status")
    assert "Invented" in prometheus.stack.make("obs-status")


def test_silenced_alert_is_not_sent(prometheus: Observed) -> None:
    prometheus.stack.make("obs-silence", "ALERT=Silenced", "HOURS=1")
    begun = time.time()
    for name in ("Silenced", "Loud"):
        prometheus.add_alert(f"alertname={name}", "severity=page")
    assert prometheus.wait_for("Loud", "firing", begun, 30) < 30
    assert "Silenced" not in {one.alert for one in prometheus.notifications()}


def test_watchdog_is_sent_each_minute(prometheus: Observed) -> None:
    def count() -> int:
        return len(prometheus.notifications(path="/watchdog"))

    before = count()
    seconds_until(lambda: count() >= before + 1, 90)


def test_queries_of_panels_have_values(prometheus: Observed) -> None:
    assert [query for query in queries() if not prometheus.query(query)] == []


def test_metrics_that_are_named_exist(prometheus: Observed) -> None:
    assert len(name_metrics()) > 60
    missing = [name for name in sorted(name_metrics() - name_occasional()) if not prometheus.query(name)]
    assert missing == []


@pytest.mark.parametrize(
    "alert", [pytest.param(alert, marks=[] if alert in IN_CI else pytest.mark.full) for alert in FAULTS]
)
def test_fault_causes_its_alert_alone(alert: str, prometheus: Observed) -> None:
    seconds_until(lambda: not prometheus.firing(), 360)
    begun = time.time()
    with FAULTS[alert](prometheus):
        happened = time.time()
        fired = prometheus.wait_for(alert, "firing", begun, 120 + happened - begun) - (happened - begun)
        time.sleep(NO_OTHER_SECONDS)
        repair = time.time()
    repaired = time.time()
    assert fired <= (DOWN_SECONDS if alert in IN_CI else SECONDS)
    limit = WINDOW_SECONDS.get(alert, SECONDS)
    resolved = max(0, prometheus.wait_for(alert, "resolved", repair, limit + repaired - repair) - (repaired - repair))
    print(f"{alert}: notified after {fired:.1f} s, resolved after {resolved:.1f} s")
    assert resolved <= limit
    time.sleep(NO_OTHER_SECONDS)
    assert prometheus.list_fired(begun) == {alert}


def build_random_request(number: int) -> Request:
    return Request("GET", f"/{secrets.token_hex(4)}/random/{number}", 404)


@pytest.mark.full
def test_nothing_fires_while_nothing_is_wrong(prometheus: Observed) -> None:
    seconds_until(lambda: not prometheus.firing(), 360)
    begun, stack = time.time(), prometheus.stack
    with prometheus.load(25, more=[build_random_request] * 10) as load:
        stack.make("prod-deploy", f"VERSION={prometheus.tag('same')}")
        stack.make("prod-backup")
        stack.within("nginx", "sh", "-c", CERTIFICATE.format(days=90))
        stack.make("prod-scale", "WEB=3")
        seconds = seconds_until(lambda: len(prometheus.query('up{service="web"} == 1')) == 3, 20)
        stack.make("prod-scale", "WEB=1")
        time.sleep(max(0, QUIET_SECONDS - (time.time() - begun)))
    print(f"{load.report()}; three targets after {seconds:.1f} s")
    assert prometheus.list_fired(begun) == set()
    assert load.failures == []
    assert prometheus.query('{route=~".*random.*"}') == []
    series = prometheus.query('count by (instance) ({job="application"})')
    assert max(int(one["value"][1]) for one in series) < 2000
