"""Tasks of the shipped prod tier with four workers, and a mail server that keeps what it is sent."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from e2e.stack import Stack, docker, seconds_until
from e2e.tasks.tier import CHILD, WHATSAPP, WORKERS, Tasks

pytestmark = pytest.mark.full
COMMITTED, ROLLED_BACK, PHONES = 5000, 500, 3000
CAMPAIGN = """
from django.db import connection
from core_apps.accounts.models import User
from core_apps.messaging.campaigns import create_campaign, start
from core_apps.messaging.models import Campaign, Consent, Wording
from customers.models import Customer
people = Customer.objects.bulk_create(
    Customer(given_name="Person", email=f"p{{n}}@example.com") for n in range({count})
)
news = Wording.objects.create(purpose="news", language="en", text="I agree to news.")
Consent.objects.bulk_create(
    Consent(recipient=person, wording=news, method="spoken", address=person.email) for person in people
)
campaign = create_campaign(Customer.objects.filter(given_name="Person"), None)
Campaign.objects.filter(pk=campaign.pk).update(subject="News", text="Dear {{given_name}}", per_minute=200)
connection.cursor().execute("ANALYZE")  # as autovacuum does within a minute
"""
# In two processes at once.
SEND = """
import time
from core_apps.messaging.campaigns import find_next, pause, queue_next, start
from core_apps.messaging.models import Campaign
campaign = Campaign.objects.latest("pk")
for number in range(200):
    start(campaign)
    queue_next(campaign.pk)
    time.sleep(2)
    if number % 5 == 4:
        pause(campaign)
    if not find_next(campaign).exists():
        break
"""

# The mock answers lower numbers of this range with errors.
ROWS = """
from core_apps.messaging.background import queue_message
from core_apps.messaging.models import Consent, Wording
from customers.models import Customer
wording = Wording.objects.create(purpose="visit", channel="whatsapp", language="en", text="Send me a message.")
for n in range({count}):
    person = Customer.objects.create(given_name="Phone", phone=f"+4917139{{n + 21_000:05}}")
    Consent.objects.create(recipient=person, wording=wording, method="spoken")
    values = dict(channel="whatsapp", purpose="visit", language="en", template="visit_thanks")
    queue_message(f"phone:{{n}}", recipient=person, parameters="Ingrid\\nHarbour Fair", text="Dear Ingrid", **values)
"""
# WhatsApp's own limit would let workers be idle most of the time.
NO_LIMIT = "from mock import state; state.write('settings', 'messages_per_second', 10_000)"
ACCEPTED = "from mock import state; print(*(one['opaque'] for one in state.read('messages').values()))"


@pytest.fixture(scope="module")
def tasks(stack_of: Callable[[str], Stack]) -> Tasks:
    return Tasks(stack_of("prod"))


def test_nothing_is_lost_whatever_is_killed(tasks: Tasks) -> None:
    with tasks.enqueue(COMMITTED, ROLLED_BACK):
        seconds_until(lambda: bool(tasks.count_mails()), 60)
        for number in range(10):
            tasks.signal_child(tasks.stack.containers("celery-worker")[number % WORKERS], "KILL")
            if number in (2, 4, 6):
                docker("kill", tasks.stack.container("broker"))
                docker("start", tasks.stack.container("broker"))
            if number == 5:
                tasks.stack.within("broker", "redis-cli", "FLUSHALL")
            if number == 7:
                tasks.stack.compose("restart", "db")
            if number == 8:
                tasks.stack.make("prod-deploy", f"VERSION={tasks.tag('during-load')}")
            time.sleep(3)
    seconds = tasks.wait_until_done(300)
    sent, rows = tasks.count_mails(), set(tasks.sql("SELECT id FROM tasks_task WHERE kind LIKE '%reset'").split())
    repeats = sent.total() - len(sent)
    print(
        f"{len(rows)} committed, {len(sent)} sent, {repeats} repeated; the last {seconds:.0f} s after the last commit"
    )
    assert len(rows) >= COMMITTED
    assert (rows - sent.keys(), sent.keys() - rows) == (set(), set())
    assert repeats <= COMMITTED / 1000


def test_campaign_reaches_each_person_once_whatever_is_killed_paused_or_started_twice(tasks: Tasks) -> None:
    assert tasks.run_shell(CAMPAIGN.format(count=COMMITTED)).wait() == 0
    senders = [tasks.run_shell(SEND) for _ in range(2)]
    for container in cycle(tasks.stack.containers("celery-worker")):
        time.sleep(5)
        if all(sender.poll() is not None for sender in senders):
            break
        tasks.signal_child(container, "KILL")
    tasks.wait_until_done(300)
    assert tasks.run_shell(SEND).wait() == 0  # what the last pause has kept back
    tasks.wait_until_done(300)
    states = dict(
        line.split("|") for line in tasks.sql("SELECT state, count(*) FROM messaging_message GROUP BY 1").split()
    )
    sent = tasks.count_recipients()
    print(f"messages by state: {states}; {len(sent)} people got {sent.total()} mails")
    assert sum(map(int, states.values())) == COMMITTED
    assert states.keys() <= {"sent", "unknown"}
    assert sent.total() == len(sent) >= int(states["sent"])


@pytest.fixture
def mock(tasks: Tasks) -> Iterator[str]:
    """The mock of WhatsApp beside the tier; it reports no statuses."""
    stack, name = tasks.stack, f"{tasks.stack.project}-mock"
    redis = stack.within("web", "printenv", "REDIS_URL").strip()
    environment = WHATSAPP | {"DEBUG": "true", "REDIS_URL": redis, "CALLBACK_URL": "http://127.0.0.1:1/"}
    options = [f"--env={variable}={value}" for variable, value in environment.items()]
    options += [f"--volume={stack.checkout}/mock:/app/mock:ro", f"--network={stack.project}_backend"]
    server = ["gunicorn", "mock.app", "--bind=0.0.0.0:8001", "--workers=1", "--threads=8", "--no-control-socket"]
    image = f"exhibition-crm:{tasks.version}"
    docker("run", "--detach", "--name", name, "--network-alias=mock", *options, image, *server)
    try:
        docker("exec", name, "python", "-c", NO_LIMIT)
        yield name
    finally:
        docker("rm", "--force", name)


def count_accepted(mock: str) -> Counter[str]:
    """Return how often the mock has accepted each message."""
    return Counter(docker("exec", mock, "python", "-c", ACCEPTED).split())


def test_whatsapp_message_is_sent_once_or_unknown_whatever_is_killed(tasks: Tasks, mock: str) -> None:
    queueing = tasks.run_shell(ROWS.format(count=PHONES))
    seconds_until(lambda: bool(count_accepted(mock)), 60)
    for number in range(10):
        tasks.signal_child(tasks.stack.containers("celery-worker")[number % WORKERS], "KILL")
        time.sleep(2)
    assert queueing.wait() == 0
    tasks.wait_until_done(300)
    accepted = count_accepted(mock)
    rows = tasks.sql("SELECT id, state FROM messaging_message WHERE channel = 'whatsapp'").split()
    states = dict(row.split("|") for row in rows)
    print(f"{len(accepted)} of {len(states)} accepted; by state: {Counter(states.values())}")
    assert (len(states), set(states.values()) <= {"sent", "unknown"}) == (PHONES, True)
    assert accepted.total() == len(accepted)
    assert {key for key, state in states.items() if state == "sent"} <= accepted.keys() <= states.keys()
    assert Counter(states.values())["unknown"] <= 20  # two threads of each worker that was killed


def test_workers_that_are_stopped_finish_what_runs(tasks: Tasks) -> None:
    before, workers = tasks.count_mails(), tasks.stack.containers("celery-worker")
    with tasks.enqueue(1000):
        seconds_until(lambda: tasks.count_mails().total() > before.total() + 50, 60)
        started = time.monotonic()
        docker("stop", *workers)
        seconds = time.monotonic() - started
    running = tasks.sql("SELECT count(*) FROM tasks_task WHERE state = 'running'")
    docker("start", *workers)
    tasks.wait_until_done(120)
    sent = tasks.count_mails() - before
    print(f"stopped within {seconds:.1f} s")
    assert running == "0"
    assert (len(sent), sent.total()) == (1000, 1000)
    assert seconds < 45


def seconds_to_send(tasks: Tasks) -> float:
    count = tasks.count_mails().total()
    with tasks.enqueue(1):
        pass
    return seconds_until(lambda: tasks.count_mails().total() > count, 20)


def test_worker_goes_on_without_the_broker_and_is_woken_again_soon(tasks: Tasks) -> None:
    workers = tasks.stack.containers("celery-worker")
    restarts = [tasks.restarts(worker) for worker in workers]
    tasks.stack.compose("stop", "broker")
    until, away = time.monotonic() + 30, []
    while time.monotonic() < until:
        away.append(seconds_to_send(tasks))
    tasks.stack.compose("start", "broker")
    # Celery waits two seconds more before each attempt to connect, up to 30.
    back = seconds_until(lambda: waits_for_messages(tasks) == WORKERS + 1, 35)
    print(f"away: sent within {max(away):.1f} s; woken again {back:.1f} s after it is back")
    assert max(away) <= 4
    assert [tasks.restarts(worker) for worker in workers] == restarts


def waits_for_messages(tasks: Tasks) -> int:
    """Return how many workers wait at the broker, that of certificates among them."""
    return tasks.stack.within("broker", "redis-cli", "client", "list").count("cmd=brpop")


@pytest.mark.parametrize("service", ["celery-worker", "celery-beat"])
def test_frozen_process_is_replaced(tasks: Tasks, service: str) -> None:
    container = tasks.stack.containers(service)[0]
    restarts = tasks.restarts(container)
    tasks.signal_child(container, "STOP")
    health = ["inspect", "--format", "{{.State.Health.Status}}", container]
    seconds = seconds_until(lambda: tasks.restarts(container) > restarts, 120)
    seconds += seconds_until(lambda: docker(*health) == "healthy", 120 - seconds)
    print(f"{service} is healthy {seconds:.1f} s after it was frozen")


@pytest.mark.parametrize(("service", "most"), [("celery-worker", 150), ("celery-beat", 80)])
def test_memory_is_bounded(tasks: Tasks, service: str, most: int) -> None:
    script = f"cat /proc/{CHILD}/smaps_rollup"
    found = docker("exec", tasks.stack.containers(service)[0], "sh", "-c", script)
    megabytes = 1.024e-3 * int(re.findall(r"^Pss: +(\d+) kB", found, re.M)[0])
    print(f"{service}: {megabytes:.0f} MB (PSS)")
    assert megabytes <= most
