"""The threads of a worker: each looks for tasks of one queue when Celery wakes it, and every two seconds anyway.

So nothing waits for a broker that is away, and no queue waits for another one, whatever that is doing.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils.autoreload import StatReloader
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from core_apps.tasks.mail import share_connection
from core_apps.tasks.running import run_next

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 2
THREADS_PER_QUEUE = 2
MAILS_PER_CONNECTION = 20
STOP_SECONDS = 40  # less than the grace period of the containers
HEARTBEATS = os.environ.get("HEARTBEATS")  # set by docker/django/watchdog.py


class Worker:
    def __init__(self, queues: Iterable[str]) -> None:
        self.stopping = threading.Event()
        self.woken = {queue: threading.Event() for queue in queues}
        self.threads = [
            threading.Thread(target=self.work, args=(queue,), name=f"{queue}-{number}", daemon=True)
            for queue in self.woken
            for number in range(THREADS_PER_QUEUE)
        ]

    def start(self) -> None:
        others = [self.beat, end_on_change] if settings.DEBUG and HEARTBEATS else [self.beat]
        for thread in [*self.threads, *(threading.Thread(target=other, daemon=True) for other in others)]:
            thread.start()

    def wake(self, queue: str) -> None:
        self.woken[queue].set()

    def stop(self) -> None:
        """Begin no further task, and wait for those that run. Another worker repeats what takes longer."""
        self.stopping.set()
        for event in self.woken.values():
            event.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))

    def work(self, queue: str) -> None:
        while not self.stopping.is_set():
            self.woken[queue].wait(SWEEP_SECONDS)
            self.woken[queue].clear()
            self.run_due_tasks(queue)
        connections.close_all()

    def run_due_tasks(self, queue: str) -> None:
        close_old_connections()
        try:
            while self.run_some(queue):
                close_old_connections()
        except DatabaseError as error:
            logger.warning("The database does not answer; next try in %s s: %s", SWEEP_SECONDS, error)

    def run_some(self, queue: str) -> bool:
        """Run as many tasks as mail servers accept on one connection; return whether there may be more."""
        with share_connection():
            return all(not self.stopping.is_set() and run_next(queue) for _ in range(MAILS_PER_CONNECTION))

    def beat(self) -> None:
        """Tell docker/django/watchdog.py that the process is alive, also while the broker or the database is away."""
        while True:
            touch_heartbeat("worker")
            time.sleep(SWEEP_SECONDS)


def serve_metrics() -> None:
    """Answer on the port of the probes with this process's memory, processor time and start, for Prometheus."""
    if settings.METRICS and (port := os.environ.get("PROBE_PORT")):
        # Not the default one, to which Django's checks add what web counts.
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        start_http_server(int(port), registry=registry)


def end_on_change() -> None:
    """Stop the worker when its code has changed, as runserver does; in the dev tier, Compose starts it again."""
    try:
        StatReloader().run(threading.main_thread())
    except SystemExit:
        os.kill(os.getpid(), signal.SIGTERM)


def touch_heartbeat(name: str) -> None:
    if HEARTBEATS:
        Path(HEARTBEATS, name).touch()
