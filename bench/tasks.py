"""Background tasks: what a request pays, how soon and how many mails leave, and what a health check costs.

python -m bench.tasks; on engines of its own: `make bench-tasks`. Workers and mail servers are real.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import django
import redis
from celery import Celery

from config.local.servers import find_free_port
from config.local.valkey import Valkey

PLAIN = "plain"  # a Celery task that does nothing, and its queue
plain = Celery(PLAIN, broker=os.environ["BROKER_URL"])
plain.conf.update(task_ignore_result=True, task_default_queue=PLAIN)


@plain.task(name=PLAIN)  # type: ignore[untyped-decorator]
def do_nothing() -> None:
    pass


os.environ |= {"LOG_LEVEL": "ERROR", "LOG_FORMAT": "text"}
django.setup()

from django.core.management import call_command  # noqa: E402 - models need the set-up
from django.db import transaction  # noqa: E402

from bench.measurements import alternate, check_bar, compute_milliseconds  # noqa: E402
from config.celery import app  # noqa: E402
from core_apps.accounts.background import send_password_reset  # noqa: E402
from core_apps.accounts.models import User  # noqa: E402
from core_apps.tasks import waking  # noqa: E402
from core_apps.tasks.models import Task  # noqa: E402
from core_apps.tasks.tests.mail_servers import MailServer, Session, run_mail_server  # noqa: E402

MAILS, MANY, WAITING = 200, 2000, 10_000
EMAIL = "ann@example.com"
PAYLOAD = {"email": EMAIL, "language": "en", "host": "crm.example.com", "https": True}
COMPOSE = Path("docker/compose/tasks.yml").read_text(encoding="utf-8")


class SlowSession(Session):
    """Of a mail server that needs 3 ms for each mail."""

    def reply(self, line: str) -> None:
        if line.startswith("354"):
            time.sleep(0.003)
        super().reply(line)


class Broker:
    """A broker that can be paused and killed."""

    def __init__(self, home: Path) -> None:
        self.server, self.port = Valkey(home, "a-password"), find_free_port()
        self.process = self.server.launch(self.port)
        os.environ["BROKER_URL"] = self.url = self.server.url(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        self.process = self.server.launch(self.port)


def write() -> None:
    with transaction.atomic():
        User.objects.filter(email=EMAIL).update(name="Ann")


def write_and_enqueue() -> None:
    waking._retry_at = 0.0  # else only the first one would wait for a broker that is away
    with transaction.atomic():
        User.objects.filter(email=EMAIL).update(name="Ann")
        send_password_reset.enqueue(**PAYLOAD)


def time_it(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def print_costs(name: str, most: float) -> None:
    found = alternate(4, with_task=lambda: time_it(write_and_enqueue), without=lambda: time_it(write))
    added = 1000 * (median(found["with_task"]) - median(found["without"]))
    print(f"request that adds a task, broker {name}: ms {check_bar(added, most)}", flush=True)
    Task.objects.all().delete()


@contextmanager
def run_celery(*arguments: str, application: str = "config.celery") -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "celery", "--quiet", "--app", application, *arguments])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> float:
    started = time.perf_counter()
    while not condition():
        time.sleep(0.0005)
    return time.perf_counter() - started


def send(server: MailServer) -> float:
    """Return the seconds from the commit until the mail server has the mail."""
    count = len(server.messages)
    write_and_enqueue()
    return wait_until(lambda: len(server.messages) > count)


def print_latency(name: str, server: MailServer, count: int, most: float) -> None:
    middle, p95 = compute_milliseconds([send(server) for _ in range(count)])
    print(f"commit to mail server, {name}: {middle:.0f} ms, p95 {check_bar(p95, most)}", flush=True)


def wait_until_done() -> None:
    while Task.objects.open().exists():
        time.sleep(0.02)


def measure_rate(server: MailServer) -> float:
    """Return how many mails per second a worker sends to a server that needs 3 ms for each."""
    server.RequestHandlerClass = SlowSession
    started = time.perf_counter()
    send_password_reset.enqueue_many((None, None, PAYLOAD) for _ in range(MANY))
    wait_until_done()
    server.RequestHandlerClass = Session
    return MANY / (time.perf_counter() - started)


def measure_plain_rate(broker: Broker) -> float:
    """Return how many tasks that do nothing two processes of Celery run per second."""
    client = redis.Redis.from_url(broker.url)
    plain.conf.broker_url = broker.url
    for _ in range(MANY):
        do_nothing.delay()
    with run_celery("worker", "--concurrency", "2", "--queues", PLAIN, application="bench.tasks:plain"):
        wait_until(lambda: client.llen(PLAIN) < MANY)
        first = client.llen(PLAIN)
        return float(first / wait_until(lambda: client.llen(PLAIN) == client.hlen("unacked") == 0))


def print_priority(server: MailServer) -> None:
    """Measure a password reset while many mails of a lower priority wait."""
    low = replace(send_password_reset, priority=5)
    low.enqueue_many((None, None, PAYLOAD) for _ in range(WAITING))
    count = len(server.messages)
    User.objects.create_user("bob@example.com")
    User.objects.filter(email="bob@example.com").update(password=User.objects.get(email=EMAIL).password)
    send_password_reset.enqueue(**PAYLOAD | {"email": "bob@example.com"})
    seconds = wait_until(lambda: any("To: bob@" in message for message in server.messages[count:]))
    print(f"password reset behind {WAITING:,} mails: s {check_bar(seconds, 5)}", flush=True)
    Task.objects.open().delete()


def print_health_check(home: Path) -> None:
    (home / "worker").touch()
    (test,) = re.findall(r'"CMD-SHELL", "(.+)"\]', COMPOSE)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(10):
        subprocess.run(["sh", "-c", test.replace("/tmp/heartbeats", str(home))], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 10
    print(f"CPU of a health check: ms {check_bar(1000 * seconds, 100)}", flush=True)


def measure_worker(broker: Broker, server: MailServer) -> None:
    os.environ |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(server.server_address[1]), "EMAIL_USE_TLS": "false"}
    os.environ["EMAIL_BACKEND"] = "django.core.mail.backends.smtp.EmailBackend"
    with run_celery("worker", "--pool", "solo"):
        send(server)
        print_latency("broker up", server, MAILS, 50)
        rate = measure_rate(server)
        print_priority(server)
        broker.kill()
        print_latency("broker away", server, 20, 4000)
        broker.start()
    plain_rate = measure_plain_rate(broker)
    print(f"mails per second, 3 ms each: {check_bar(rate, 250, at_least=True)}")
    print(f"  {check_bar(rate / plain_rate, 0.35, at_least=True)} of {plain_rate:.0f} Celery tasks that do nothing")


def main() -> None:
    call_command("migrate", verbosity=0)
    User.objects.create_user(EMAIL, "a harbour full of lamps")
    with tempfile.TemporaryDirectory() as home, run_mail_server() as server:
        broker = Broker(Path(home))
        try:
            app.conf.broker_url = broker.url
            print_costs("up", 2)
            broker.process.suspend()
            print_costs("silent", 800)
            broker.process.resume()
            broker.kill()
            print_costs("refused", 500)
            broker.start()
            measure_worker(broker, server)
            (Path(home) / "heartbeats").mkdir()
            print_health_check(Path(home) / "heartbeats")
        finally:
            broker.process.kill()


if __name__ == "__main__":
    main()
