"""The queries of the rules and of Grafana's dashboards, and the metrics that are named in them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from e2e.checkout import SOURCE

FOLDER = SOURCE / "docker/observability"
DASHBOARDS = sorted((FOLDER / "grafana/dashboards").glob("*.json"))
LABEL = re.compile(r'(?!__name__)\b\w+ *[=!]=?~? *"[^"]*"')
NAME = re.compile(r"\b[a-zA-Z]\w*[_:][\w:]*\b(?! *\()")
DOCUMENTED = re.compile(
    r"`((?:backup|certificate|containers|database|follow_ups|http|leads|migrations|tasks|visits)_[a-z_]+)[`{]"
)
# Of what these write, some is there only after a backup, a renewal or a deploy.
WRITERS = ("certbot/keep_certificate.py", "docker/backup/metrics.py", "deploy/tier.py")
WITH_PITR = {"pg_replication_slots_active", "pg_replication_slots_pg_wal_lsn_diff"}


def load(path: Path) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(path.read_text())
    return dashboard


def read(path: str) -> Any:
    return yaml.safe_load((FOLDER / path).read_text())


def queries() -> Iterator[str]:
    for path in DASHBOARDS:
        for panel in load(path)["panels"]:
            yield from (target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"])


def rules() -> Iterator[str]:
    for group in read("rules.yml")["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def name_metrics() -> set[str]:
    """Return the metrics that rules, panels and documents name."""
    names = {name for text in (*queries(), *rules()) for name in NAME.findall(LABEL.sub("", text))}
    return names | {name for path in (SOURCE / "docs").glob("*.md") for name in DOCUMENTED.findall(path.read_text())}


def name_occasional() -> set[str]:
    """Return those that are not there all the time."""
    return WITH_PITR | {name for path in WRITERS for name in NAME.findall((SOURCE / path).read_text())}
