"""The alert rules and Alertmanager's routes, judged by promtool and amtool."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.checkout import SOURCE
from e2e.stack import docker

FILES = SOURCE / "docker/observability"
SERVICES = yaml.safe_load((SOURCE / "docker/compose/observability.yml").read_text())["services"]
RULES = yaml.safe_load((FILES / "rules.yml").read_text())["groups"]
ALERTS = {rule["alert"] for group in RULES for rule in group["rules"] if "alert" in rule}
TESTS = [group for file in FILES.glob("*_test.yml") for group in yaml.safe_load(file.read_text())["tests"]]
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FLIPPED = {"==": "!=", "!=": "==", ">": "<", "<": ">=", ">=": "<", "<=": ">"}
# The value of vector(1) means nothing.
TOKEN = re.compile(
    r'vector\(1\)|"(?P<text>[^"]*)"|\[(?P<window>\w+)\]|[a-zA-Z_:][\w:]*|(?P<number>\d[\d.e]*)|(?P<operator>[<>=!]=|[<>])'
)
# Prints those that are no valid rules, or pass.
TRY_MUTANTS = """
cp /rules/*_test.yml /tmp
while IFS=: read -r file groups; do
    cp "/mutants/$file" /tmp/rules.yml
    promtool check rules /tmp/rules.yml >/tmp/said 2>&1 &&
        ! promtool test rules --run "$groups" /tmp/*_test.yml >/tmp/said 2>&1 || echo "$file"
done </mutants/list
"""
MUTANTS_SECONDS = 1800
ROUTES = """
set -e
amtool check-config /tmp/alertmanager.yml >&2
for labels in severity=page severity=ticket "severity=none alertname=Watchdog"; do
    amtool config routes test --config.file=/tmp/alertmanager.yml $labels
done
"""
EMAIL, WEBHOOK = {"ALERT_EMAIL": "admin@example.com"}, {"ALERT_WEBHOOK_URL": "https://chat.example.com/alerts"}
EVERYTHING = {
    **EMAIL,
    **WEBHOOK,
    "ALERT_WATCHDOG_URL": "https://watch.example.com/1",
    "EMAIL_HOST": "mail.example.com",
    "EMAIL_HOST_USER": "exhibition",
    "EMAIL_HOST_PASSWORD": 'a "quoted" $word\'s',
    "EMAIL_USE_TLS": "false",
    "DEFAULT_FROM_EMAIL": "Exhibition CRM <noreply@example.com>",
}
Rule = dict[str, Any]


def shell(service: str, script: str, *options: str) -> list[str]:
    """Return the arguments of docker that run the script in a new container with the service's image."""
    bounds = ["--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp"]
    volume = ["--volume", f"{FILES}:/rules:ro"]
    return ["run", *bounds, *volume, *options, "--entrypoint", "sh", SERVICES[service]["image"], "-c", script]


def to_seconds(duration: str) -> int:
    return int(duration[:-1]) * SECONDS[duration[-1]]


EVALUATION = to_seconds(yaml.safe_load((FILES / "prometheus.yml").read_text())["global"]["evaluation_interval"])


def vary(kind: str, text: str) -> list[str]:
    if kind == "text":
        return [text.replace(choice, f"{choice}-") for choice in text.split("|")]
    if kind == "window":
        return [f"{to_seconds(text) // 2}s", f"{to_seconds(text) * 2}s"]
    if kind == "operator":
        return [FLIPPED[text]]
    number = float(text)
    # Of what is counted there are no tenths.
    step = max(number / 10, 1) if text.isdigit() else number / 10
    return [f"{number - step:g}", f"{number + step:g}"]


def mutate(rule: Rule) -> Iterator[Rule]:
    expression = rule["expr"]
    for token in TOKEN.finditer(expression):
        if kind := token.lastgroup:
            for text in vary(kind, token[kind]):
                yield {**rule, "expr": expression[: token.start(kind)] + text + expression[token.end(kind) :]}
    for time in {"for", "keep_firing_for"} & set(rule):
        # Between evaluations nothing changes.
        half = to_seconds(rule[time]) // 2 // EVALUATION * EVALUATION
        yield from ({**rule, time: f"{seconds}s"} for seconds in {0, half, 2 * to_seconds(rule[time])})
    if "labels" in rule:
        yield {**rule, "labels": {"severity": "ticket" if rule["labels"]["severity"] == "page" else "page"}}


def find_tests(rule: Rule) -> str:
    """Return a pattern of the groups of tests that expect something of the rule."""
    name = rule.get("alert") or rule["record"]
    return "|".join(
        group["name"]
        for group in TESTS
        if name in str([group.get(kind) for kind in ("alert_rule_test", "promql_expr_test")])
    )


def write_mutants(directory: Path) -> list[Rule]:
    """Write files of rules, numbered, each with a change to one rule; the first has none."""
    mutants = [({}, {}), *((rule, mutant) for group in RULES for rule in group["rules"] for mutant in mutate(rule))]
    with (directory / "list").open("w") as file:
        for number, (rule, mutant) in enumerate(mutants):
            groups = [{**group, "rules": [mutant if r is rule else r for r in group["rules"]]} for group in RULES]
            (directory / str(number)).write_text(json.dumps({"groups": groups}))
            file.write(f"{number}:{find_tests(rule) if rule else ''}\n")
    return [mutant for _, mutant in mutants]


def test_rules_do_what_their_tests_expect(engine: None) -> None:
    docker(*shell("prometheus", "promtool check rules /rules/rules.yml && promtool test rules /rules/*_test.yml"))


def test_each_alert_has_tests_in_which_it_fires_and_does_not() -> None:
    cases = [case for group in TESTS for case in group.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == ALERTS
    # It is always on.
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == ALERTS - {"Watchdog"}


@pytest.mark.full
def test_each_number_time_operator_and_label_of_a_rule_is_tested(engine: None, tmp_path: Path) -> None:
    mutants = write_mutants(tmp_path)
    # Nobody else may enter the directory.
    arguments = shell("prometheus", TRY_MUTANTS, "--user", "root", "--volume", f"{tmp_path}:/mutants:ro")
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=MUTANTS_SECONDS, check=True)
    survivors = [mutants[int(number)] for number in done.stdout.split()]
    print(f"{len(mutants) - 1} mutants, survivors:", *survivors[1:], sep="\n")
    assert survivors == [{}]


@pytest.mark.parametrize(
    ("chosen", "receivers"),
    [
        ({}, ["none,none", "none,none", "none"]),
        (EMAIL, ["email,none", "email,none", "none"]),
        (WEBHOOK, ["none,webhook", "none,webhook", "none"]),
        (EVERYTHING, ["email,webhook", "email,webhook", "watchdog"]),
    ],
    ids=["nothing", "email", "webhook", "everything"],
)
def test_alerts_reach_their_receivers(engine: None, chosen: dict[str, str], receivers: list[str]) -> None:
    defaults = {name: value[:-1].split(":-")[1] for name, value in SERVICES["alertmanager"]["environment"].items()}
    given = [f"--env={name}={value}" for name, value in (defaults | chosen).items()]
    script = f"exec sh /rules/alertmanager.sh sh -c '{ROUTES}'"
    assert docker(*shell("alertmanager", script, *given)).splitlines() == receivers


def test_each_alert_is_explained() -> None:
    explained = re.findall(r"`(\w+)`", (SOURCE / "docs/observability.md").read_text())
    assert set(explained) >= ALERTS


def test_each_alert_that_alertmanager_names_is_one_of_the_rules() -> None:
    patterns = re.findall(r'alertname=~?"([^"]+)"', (FILES / "alertmanager.sh").read_text())
    names = {name for pattern in patterns for name in pattern.split("|")}
    assert "DatabaseDown" in names
    assert {name for name in names if not any(re.fullmatch(name, alert) for alert in ALERTS)} == set()
