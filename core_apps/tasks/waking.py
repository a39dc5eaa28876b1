"""Wakes a worker through Celery once a task is committed. If that fails, workers find the task within seconds."""

import logging
import time
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)

WAKE_UP = "tasks.wake_up"
# Seconds without a further try after a failure, as each takes as long as the broker's timeouts.
PAUSE = 5
EXPIRES = 60  # seconds; workers have looked by themselves since
_retry_at = 0.0


def wake_workers(queue: str) -> None:
    global _retry_at
    if settings.TASKS_FORCE_INLINE:
        from core_apps.tasks.running import run_due_tasks

        run_due_tasks(queue)
    elif time.monotonic() >= _retry_at:
        try:
            get_celery().send_task(WAKE_UP, (queue,), queue=queue, expires=EXPIRES)
        except Exception as error:
            _retry_at = time.monotonic() + PAUSE
            logger.warning("The broker does not answer; workers find the task by themselves: %s", error)


@cache
def get_celery() -> Any:
    return import_string(settings.CELERY_APP)
