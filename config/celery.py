"""Celery wakes workers and asks for periodic tasks. What must be done is in the database: core_apps/tasks.

`celery -A config.celery worker -P solo` runs a worker of all queues, `python -m config.beat` the clock.
"""

import os
import ssl
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# `migrate` has run Django's checks, for which the clock would load all views: 7 MB.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("config", broker=settings.BROKER_URL, include=["core_apps.tasks.celery"])
app.conf.update(
    task_queues={name: {} for name in ("emails", "progress", "certificates", "webhooks")},
    task_default_queue="progress",
    task_ignore_result=True,
    # A request that adds a task waits at most this long for a broker that does not answer; seconds.
    broker_connection_timeout=0.3,
    task_publish_retry=False,
    # Without it, a certificate is verified only if the URL has parameters such as ssl_ca_certs.
    broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if settings.BROKER_URL.startswith("rediss:") else None,
    broker_transport_options={
        "socket_connect_timeout": 0.3,
        "socket_timeout": 0.5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "max_retries": 0,
    },
    # A worker goes on without the broker, and connects again for as long as it takes.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    beat_scheduler="core_apps.tasks.celery.HeartbeatScheduler",
    beat_schedule={"tick": {"task": "tasks.tick", "schedule": 60, "options": {"expires": 60}}},
)
app.steps["worker"].add("core_apps.tasks.celery.WorkerStep")


@setup_logging.connect
def keep_logging(**_options: Any) -> None:
    """Celery leaves the log as Django has configured it if somebody listens to this signal."""


@worker_init.connect
def trace(**_options: Any) -> None:
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from core_apps.operations.traces import start_traces

        start_traces("worker")
