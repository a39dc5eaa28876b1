"""What runs in Celery: `wake_up` in workers, `tick` every minute by beat."""

from typing import Any

from celery import bootsteps, shared_task
from celery.beat import Scheduler

from core_apps.tasks.periodic import enqueue_periodic
from core_apps.tasks.waking import WAKE_UP
from core_apps.tasks.worker import Worker, serve_metrics, touch_heartbeat

workers: list[Worker] = []  # one, in a process that runs tasks


@shared_task(name=WAKE_UP)
def wake_up(queue: str) -> None:
    for worker in workers:
        worker.wake(queue)


@shared_task(name="tasks.tick")
def tick() -> None:
    enqueue_periodic()


class WorkerStep(bootsteps.StartStopStep):
    """Starts and stops the threads that run tasks, whether or not the broker answers."""

    # A fork, such as that of an embedded beat, must not copy the threads' connections.
    requires = ("celery.worker.components:Pool", "celery.worker.components:Beat")

    def start(self, parent: Any) -> None:
        workers.append(Worker(parent.app.amqp.queues.consume_from))
        workers[0].start()
        serve_metrics()

    def stop(self, parent: Any) -> None:
        for worker in workers:
            worker.stop()


class HeartbeatScheduler(Scheduler):
    """Keeps its schedule in memory, as the database knows which periods are done."""

    def tick(self, *arguments: Any, **options: Any) -> Any:
        touch_heartbeat("beat")
        # Not longer, or the heartbeat would look old.
        return min(10.0, super().tick(*arguments, **options))
