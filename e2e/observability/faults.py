"""Faults that are made in a running tier, by the alert that they must cause; each ends with its block."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from e2e.observability.observed import Observed
from e2e.stack import docker, seconds_until

LIST = "/admin/customers/customer/"
Fault = Callable[[Observed], AbstractContextManager[None]]
FAIL = """
from keep_certificate import Wanted, renew
renew(Wanted(("crm.test",), "https://127.0.0.1:1/dir", "alice@example.com"))
"""
CONNECT = """
import os, psycopg2, time
connections = [psycopg2.connect(os.environ["DATABASE_URL"]) for _ in range(165)]
time.sleep(600)
"""
# Served by nginx as if it were a new one of certbot
CERTIFICATE = """
cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days {days} -subj /CN=new \\
  -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem 2>/dev/null
cat certificate.pem key.pem >/certificates/issued.partial && mv /certificates/issued.partial /certificates/issued.pem
"""
ENQUEUE = """
from core_apps.accounts.background import send_password_reset
for _ in range(6):
    send_password_reset.enqueue(email="alice@example.com", language="en", host="localhost", https=True)
"""
TASK = "id = '11111111-1111-1111-1111-111111111111'"
ADD_TASK = """
INSERT INTO tasks_task (id, kind, queue, payload, priority, state, error, attempts)
VALUES ('11111111-1111-1111-1111-111111111111', 'nothing', 'webhooks', '{{}}', 1, '{state}', '', 0)
"""
LOCK_TASK = f"SELECT 1 FROM tasks_task WHERE {TASK} FOR UPDATE"
DELETE_TASK = f"DELETE FROM tasks_task WHERE {TASK}"
RENEWED = "expiry = now() + interval '1 year'"
PLACEHOLDER = "rm /certificates/*.pem; placeholder-certificate.sh; nginx -s reload"
# As if the first start had been two days ago, and no backup taken since.
AGE_BACKUPS = """
mkdir /backups/away && mv /backups/2* /backups/.state/first_start.json /backups/away
echo '{"time": "2026-01-01T00:00:00+00:00"}' >/backups/.state/first_start.json
"""
RETURN_BACKUPS = "cd /backups && mv away/first_start.json .state && mv away/2* . && rmdir away"


@contextmanager
def kill_container(container: str) -> Iterator[None]:
    docker("kill", container)
    yield
    docker("start", container)


def kill(service: str) -> Fault:
    return lambda tier: kill_container(tier.stack.containers(service)[-1])


def pause(service: str) -> Fault:
    return lambda tier: tier.stack.paused(service)


def run(before: str, after: str, service: str = "db") -> Fault:
    """Shell commands in a container, and those that repair it."""

    @contextmanager
    def fault(tier: Observed) -> Iterator[None]:
        tier.stack.within(service, "sh", "-c", before)
        yield
        tier.stack.within(service, "sh", "-c", after)

    return fault


def query(before: str, after: str) -> Fault:
    """SQL statements, and those that repair it."""

    @contextmanager
    def fault(tier: Observed) -> Iterator[None]:
        tier.sql(before)
        yield
        tier.sql(after)

    return fault


def kill_one_of_two(service: str, variable: str) -> Fault:
    @contextmanager
    def fault(tier: Observed) -> Iterator[None]:
        tier.stack.make("prod-scale", f"{variable}=2")
        seconds_until(lambda: tier.is_measured() and len(tier.query(f'up{{service="{service}"}} == 1')) == 2, 60)
        with kill(service)(tier):
            yield
        tier.stack.make("prod-scale", f"{variable}=1")

    return fault


@contextmanager
def pause_database(tier: Observed) -> Iterator[None]:
    """Visitors get errors meanwhile; who has a connection that was open, as the probes leave them, would wait."""
    tier.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    with tier.stack.paused("db"), ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(tier.visit, LIST) for _ in range(12)]
        yield
    assert {answer.result() // 100 for answer in answers} == {5}


@contextmanager
def use_connections(tier: Observed) -> Iterator[None]:
    name = f"{tier.stack.project}-connections"
    tier.stack.compose("run", "--detach", "--rm", "--no-deps", "--name", name, "celery-beat", "python", "-c", CONNECT)
    yield
    docker("rm", "--force", name)


@contextmanager
def lose_migration(tier: Observed) -> Iterator[None]:
    tier.sql("CREATE TABLE kept AS SELECT * FROM django_migrations ORDER BY id DESC LIMIT 1")
    tier.sql("DELETE FROM django_migrations USING kept WHERE django_migrations.id = kept.id")
    yield
    tier.sql("INSERT INTO django_migrations OVERRIDING SYSTEM VALUE SELECT * FROM kept; DROP TABLE kept")


@contextmanager
def fail_backup(tier: Observed) -> Iterator[None]:
    tier.sql("ALTER ROLE backup NOLOGIN")
    tier.stack.make("prod-backup", fails=True)
    yield
    tier.sql("ALTER ROLE backup LOGIN")
    tier.stack.make("prod-backup")


@contextmanager
def fail_drill(tier: Observed) -> Iterator[None]:
    with tier.stack.paused("drill"):
        tier.stack.make("prod-restore-drill", fails=True)
    yield
    tier.stack.make("prod-restore-drill")


@contextmanager
def hold_task(tier: Observed) -> Iterator[None]:
    """Workers skip a row that is locked."""
    with tier.begin(f"{ADD_TASK.format(state='queued')}; COMMIT; BEGIN; {LOCK_TASK}"):
        yield
    tier.sql(DELETE_TASK)


@contextmanager
def fail_mails(tier: Observed) -> Iterator[None]:
    """The tier's mail server does not exist."""
    tier.stack.within("web", "python", "manage.py", "shell", "-v0", "-c", ENQUEUE)
    yield
    tier.sql("DELETE FROM tasks_task WHERE kind = 'accounts.password_reset'")


@contextmanager
def restart_often(tier: Observed) -> Iterator[None]:
    for _ in range(3):
        docker("restart", tier.stack.container("celery-certificates"))
        time.sleep(10)  # until its start has been measured
    yield


def visit_often(tier: Observed, times: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(tier.visit, [LIST] * times)) == {200}


@contextmanager
def answer_with_errors(tier: Observed) -> Iterator[None]:
    visit_often(tier, 2500)  # so that the errors are few
    tier.sql("ALTER TABLE customers_customer RENAME TO renamed")
    for _ in range(12):
        assert tier.visit(LIST) == 500
    yield
    tier.sql("ALTER TABLE renamed RENAME TO customers_customer")


@contextmanager
def answer_slowly(tier: Observed) -> Iterator[None]:
    """Each round, sixteen requests wait for a lock."""
    for _ in range(5):
        with ThreadPoolExecutor(16) as pool, tier.begin("LOCK TABLE customers_customer"):
            answers = [pool.submit(tier.visit, LIST) for _ in range(16)]
            time.sleep(2)
        assert {answer.result() for answer in answers} == {200}
    yield
    visit_often(tier, 1000)  # until the slow ones are few of the last five minutes'


FAULTS: dict[str, Fault] = {
    # First, while there have been few other requests, and no outage
    "SlowResponses": answer_slowly,
    # Before those whose alerts go on for minutes
    "WorkerDown": kill("celery-worker"),
    "ServerErrors": answer_with_errors,
    "WebDown": kill("web"),
    "DatabaseDown": pause_database,
    "WebMissing": kill_one_of_two("web", "WEB"),
    "LoginPageDown": pause("nginx"),
    # As if it had been revoked
    "TokenRefused": query("UPDATE accounts_apitoken SET expiry = now()", f"UPDATE accounts_apitoken SET {RENEWED}"),
    "CertificateExpiring": run(CERTIFICATE.format(days=10), PLACEHOLDER, "nginx"),
    "RenewalFailing": run(f"python -c '{FAIL}'", "rm /metrics/certbot.prom", "certbot"),
    "DatabaseConnectionsHigh": use_connections,
    "ArchiveBehind": query(
        "SELECT pg_create_physical_replication_slot('barman', true)", "SELECT pg_drop_replication_slot('barman')"
    ),
    "MigrationsUnapplied": lose_migration,
    "RedisDown": kill("redis"),
    "BackupOld": run(AGE_BACKUPS, RETURN_BACKUPS, "backup"),
    "BackupFailed": fail_backup,
    "DrillFailed": fail_drill,
    "WorkerMissing": kill_one_of_two("celery-worker", "WORKER"),
    "CertificatesWorkerDown": kill("celery-certificates"),
    "BeatDown": kill("celery-beat"),
    "BrokerDown": pause("broker"),
    "BrokerFull": run("redis-cli SETRANGE big 82000000 x", "redis-cli DEL big", "broker"),
    "TasksWaiting": hold_task,
    "TasksFailed": query(ADD_TASK.format(state="failed"), DELETE_TASK),
    "DeliveriesFailing": fail_mails,
    "DiskFilling": run("head -c 9M /dev/zero >/metrics/big", "rm /metrics/big", "backup"),
    "RestartLoop": restart_often,
    "ExporterDown": lambda tier: kill_container(tier.watching.container("redis-exporter")),
}
