"""Grafana's dashboards, checked without Grafana."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from e2e.observability.dashboards import DASHBOARDS, load, read

COLUMNS, ROWS = 24, 22  # of Grafana's grid; more rows do not fit on a screen of 1440x900


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def panels(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return list(load(request.param)["panels"])


def cells(panel: dict[str, Any]) -> Iterator[tuple[int, int]]:
    at = panel["gridPos"]
    return product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))


def test_dashboards_are_where_grafana_reads_them() -> None:
    [provider] = read("grafana/provisioning/dashboards/files.yml")["providers"]
    volumes = read("../compose/observability.yml")["services"]["grafana"]["volumes"]

    assert f"../observability/grafana/dashboards:{provider['options']['path']}:ro" in volumes


def test_dashboards_have_addresses_of_their_own() -> None:
    uids = Counter(load(path)["uid"] for path in DASHBOARDS)

    assert len(uids) == len(DASHBOARDS) > 0


def test_panels_say_what_they_show(panels: list[dict[str, Any]]) -> None:
    sources = {source["uid"] for source in read("grafana/provisioning/datasources/prometheus.yml")["datasources"]}

    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] in sources
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        assert panel["type"] in ("stat", "table") or all(target["legendFormat"] for target in panel["targets"])


def test_panels_fit_on_a_screen(panels: list[dict[str, Any]]) -> None:
    used = Counter(cell for panel in panels for cell in cells(panel))

    assert set(used.values()) == {1}
    assert used.keys() <= set(product(range(COLUMNS), range(ROWS)))
