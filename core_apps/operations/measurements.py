"""Metrics that are read from the database. Apps declare them in the module `measurements`:

@measure("tasks_due", "Tasks that a worker could run", label="queue")
def count_due() -> dict[str, float]: ...
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.db.models import Count, QuerySet, TextChoices
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)
MEASUREMENTS: list["Measurement"] = []


@dataclass
class Measurement:
    name: str
    documentation: str
    label: str
    seconds: int  # for which a value is kept in the cache, so that scrapes cost little
    read: Callable[[], dict[str, float]]

    def build(self) -> Metric:
        """Raises DatabaseError."""
        gauge = GaugeMetricFamily(self.name, self.documentation, labels=[self.label] if self.label else [])
        values = cache.get_or_set(f"metrics:{self.name}", self.read, self.seconds) or {}
        for label, value in values.items():
            gauge.add_metric([label] if self.label else [], value)
        return gauge


def measure(
    name: str, documentation: str, *, label: str = "", seconds: int = 5
) -> Callable[[Callable[[], dict[str, float]]], Callable[[], dict[str, float]]]:
    """Declare a gauge; the function returns its values by the value of the label, which no client may choose."""

    def declare(read: Callable[[], dict[str, float]]) -> Callable[[], dict[str, float]]:
        MEASUREMENTS.append(Measurement(name, documentation, label, seconds, read))
        return read

    return declare


def count_recent(rows: QuerySet[Any], states: type[TextChoices]) -> dict[str, float]:
    """The rows of the last 24 hours by state."""
    recent = rows.filter(created_at__gte=timezone.now() - timedelta(days=1))
    counted = recent.order_by().values_list("state").annotate(number=Count("pk"))
    return dict.fromkeys(states.values, 0.0) | dict(counted)


class MeasurementCollector(Collector):
    def collect(self) -> Iterator[Any]:
        """Without those of a database that does not answer; `database_up` says so."""
        is_up = True
        for measurement in MEASUREMENTS:
            try:
                if is_up:
                    yield measurement.build()
            except DatabaseError as error:
                logger.warning("Metrics of the database are missing: %s", error)
                is_up = False
        yield GaugeMetricFamily("database_up", "Whether the application can read from PostgreSQL", value=is_up)
