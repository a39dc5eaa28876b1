"""The loop of the service."""

import signal

from backup.settings import Settings


def serve(settings: Settings) -> None:
    signal.pause()
