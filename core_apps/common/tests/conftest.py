from collections.abc import Iterator

import pytest

from core_apps.common.tests.throwaway import NAME, THING, App, app_in, remove_tables


@pytest.fixture
def app(settings, tmp_path) -> Iterator[App]:
    """An app that is gone after the test; its first migration makes the table throwaway_thing."""
    with app_in(tmp_path) as made:
        made.add("initial", THING)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, NAME]
        yield made
        remove_tables()
