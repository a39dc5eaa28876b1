"""The WhatsApp mock beside the site: on the next port, with credentials that open nothing."""

import os
import socket
from contextlib import suppress

from config.local.defaults import is_set, set_defaults

CREDENTIALS = {
    "WHATSAPP_TOKEN": "development-token",
    "WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
    "WHATSAPP_APP_SECRET": "development-app-secret",
    "WHATSAPP_VERIFY_TOKEN": "development-verify-token",
}
GUNICORN = ["gunicorn", "mock.app", "--workers", "1", "--threads", "8", "--graceful-timeout", "1"]
GUNICORN += ["--no-control-socket", "--log-level", "warning"]


def choose_port(site_port: int) -> int | None:
    """Return None if WhatsApp itself is set up, or another program has the port."""
    with suppress(OSError, OverflowError), socket.socket() as probe:
        if not is_set("WHATSAPP_TOKEN"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", site_port + 1))
            return site_port + 1
    return None


def use_mock(port: int) -> None:
    set_defaults(CREDENTIALS | {"WHATSAPP_API_URL": f"http://127.0.0.1:{port}"})


def build_environment(callback_url: str) -> dict[str, str]:
    """Of the process of the mock."""
    return os.environ | CREDENTIALS | {"DEBUG": "true", "CALLBACK_URL": callback_url}
