from collections.abc import Iterator

import pytest

from core_apps.operations.tests.throwaway import App, app_in


@pytest.fixture
def app(settings, transactional_db, tmp_path) -> Iterator[App]:
    with app_in(tmp_path, settings) as made:
        yield made
