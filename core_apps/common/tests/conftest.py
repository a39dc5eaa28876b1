import socket
from collections.abc import Iterator

import pytest

from core_apps.common.tests.throwaway import App, app_in


@pytest.fixture
def app(settings, transactional_db, tmp_path) -> Iterator[App]:
    with app_in(tmp_path, settings) as made:
        yield made


@pytest.fixture
def silent_redis(settings) -> Iterator[None]:
    """Accepts connections, as a paused server's kernel does, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": address}}
        yield
