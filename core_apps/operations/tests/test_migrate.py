import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO
from socket import SHUT_RDWR, socket
from threading import Event, Thread, Timer
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from core_apps.operations.management.commands import migrate as command
from core_apps.operations.migration_safety import MIGRATE_LOCK, fetch_all, migration_lock, migration_timeouts
from core_apps.operations.tests.throwaway import NAME, App, list_applied, migrate

pytestmark = pytest.mark.django_db(transaction=True)

ADD_COLUMN = 'migrations.AddField("thing", "size", models.IntegerField(null=True))'
INDEX = 'AddIndexConcurrently("thing", models.Index(fields=["name"], name="throwaway_by_name"))'
WRITE = "INSERT INTO throwaway_thing (name) VALUES ('new')"
READ = "SELECT count(*) FROM throwaway_thing WHERE name <> 'value of a customer'"


@contextmanager
def transaction_open(*statements: str, seconds: float) -> Iterator[None]:
    """Another session, in a transaction that ends after so many seconds."""
    other = connection.copy()
    other.inc_thread_sharing()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    end = Timer(seconds, other.close)
    end.start()
    try:
        yield
    finally:
        end.cancel()
        end.join()
        other.close()


@contextmanager
def readers(sql: str) -> Iterator[list[float]]:
    """Somebody who reads all the time, as visitors do; how long each reading took."""
    seconds: list[float] = []
    done = Event()

    def read() -> None:
        other = connection.copy()
        while not done.wait(0.01):
            started = time.monotonic()
            with other.cursor() as cursor:
                cursor.execute(sql)
            seconds.append(time.monotonic() - started)
        other.close()

    thread = Thread(target=read)
    thread.start()
    try:
        yield seconds
    finally:
        done.set()
        thread.join()


def said_by_migrate(name: str = NAME) -> str:
    out = StringIO()
    call_command("migrate", name, verbosity=1, stdout=out, no_color=True)
    return out.getvalue()


def indexes() -> list[tuple[Any, ...]]:
    return fetch_all(
        connection,
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index"
        " WHERE indrelid = 'throwaway_thing'::regclass AND NOT indisprimary",
    )


@pytest.fixture
def short_limits(monkeypatch) -> Iterator[None]:
    """Web's limits, made so short that a migration meets them."""
    options = connections.settings["default"]["OPTIONS"]
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(
            options,
            "options",
            "-c statement_timeout=200 -c idle_in_transaction_session_timeout=200 -c lock_timeout=200",
        )
        yield
        connection.close()


def test_migration_behind_a_long_transaction_waits_and_keeps_no_reader_waiting(app: App):
    migrate()
    app.add("size", ADD_COLUMN)

    with transaction_open(READ, seconds=3), readers(READ) as reading:
        said = said_by_migrate()

    print(f"of {len(reading)} readings beside a migration that waits the slowest took {max(reading):.2f} s")
    assert list_applied() == ["0001_initial", "0002_size"]
    assert max(reading) < 1
    assert "Could not get a lock. Next try in 1 s." in said


def test_migration_whose_lock_never_comes_gives_up_and_says_what_to_do(app: App, monkeypatch):
    monkeypatch.setattr(command, "RETRY_SECONDS", 1.2)
    migrate()
    app.add("size", ADD_COLUMN)

    with transaction_open(READ, seconds=30), pytest.raises(CommandError, match=r"no lock within 1 s .* docs/trouble"):
        migrate()

    assert list_applied() == ["0001_initial"]


def test_migration_that_deadlocks_with_a_visitor_leaves_it_the_way(app: App):
    app.add("other", 'migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])')
    migrate()
    pause = 'migrations.RunSQL("SELECT pg_sleep(0.5)")'
    app.add("both", ADD_COLUMN, pause, 'migrations.AddField("other", "size", models.IntegerField(null=True))')

    with ThreadPoolExecutor() as threads:
        visitor = threads.submit(in_thread, read_both)
        said = said_by_migrate()

    assert visitor.result() == "read"
    assert "Could not get a lock." in said
    assert list_applied() == ["0001_initial", "0002_other", "0003_both"]


def read_both() -> str:
    """In one transaction, the second when a migration has locked it and is about to want the first."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM throwaway_other")
        locked = False
        while not locked:
            cursor.execute(
                "SELECT count(*) > 0 FROM pg_locks"
                " WHERE relation = 'throwaway_thing'::regclass AND mode = 'AccessExclusiveLock' AND granted"
            )
            [locked] = cursor.fetchone()
        cursor.execute("SELECT FROM throwaway_thing")
    return "read"


def in_thread(function):
    try:
        return function()
    finally:
        connection.close()


def test_two_migrates_at_once_apply_once(app: App):
    migrate()
    app.add("slow", ADD_COLUMN, 'migrations.RunSQL("SELECT pg_sleep(1.5)")')

    with ThreadPoolExecutor() as threads:
        first = threads.submit(in_thread, said_by_migrate)
        time.sleep(0.7)
        second = threads.submit(in_thread, said_by_migrate)
        one, other = first.result(), second.result()

    assert ("Applying throwaway.0002_slow... OK" in one, "Another migrate" in one) == (True, False)
    assert "Another migrate is running; waiting until it is done." in other
    assert "No migrations to apply." in other
    assert list_applied() == ["0001_initial", "0002_slow"]


def test_long_statement_and_a_long_pause_are_no_fault_in_a_migration(app: App, short_limits):
    app.add(
        "long",
        'migrations.RunSQL("SELECT pg_sleep(2.2)")',
        "migrations.RunPython(think)",
        before="import time\n\ndef think(apps, schema_editor):\n    time.sleep(0.5)\n",
    )

    migrate()

    assert list_applied() == ["0001_initial", "0002_long"]


def test_session_has_its_own_limits_again_after_migrate(app: App):
    migrate()

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ("15s", "3s")
        cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATE_LOCK])
        assert cursor.fetchone() == (False,)


def test_migrate_that_was_killed_does_not_hold_up_the_next_one(app: App):
    killed = connection.copy()
    killed.inc_thread_sharing()
    with migration_timeouts(killed), migration_lock(killed, print), ThreadPoolExecutor() as threads:
        statement = threads.submit(killed.cursor().execute, "SELECT pg_sleep(60)")
        while fetch_all(connection, "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'") == []:
            time.sleep(0.01)
        with socket(fileno=os.dup(killed.connection.fileno())) as to_server:
            to_server.shutdown(SHUT_RDWR)
        with pytest.raises(OperationalError):
            statement.result()
        migrate()

    assert list_applied() == ["0001_initial"]


def test_index_that_is_built_concurrently_waits_for_older_transactions(app: App):
    migrate()
    app.add("index", INDEX, attributes="atomic = False")

    with transaction_open(WRITE, seconds=2), readers(READ) as reading:
        said = said_by_migrate()

    assert indexes() == [("throwaway_by_name", True)]
    assert "Next try" not in said
    assert max(reading) < 1


def test_index_that_an_earlier_try_left_invalid_is_built_anew(app: App):
    migrate()
    app.add("index", INDEX, attributes="atomic = False")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO throwaway_thing (name) VALUES ('twice'), ('twice')")
        with pytest.raises(IntegrityError):
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY throwaway_by_name ON throwaway_thing (name)")
    assert indexes() == [("throwaway_by_name", False)]

    said = said_by_migrate()

    assert "Dropping the INVALID index throwaway_by_name of an earlier attempt." in said
    assert indexes() == [("throwaway_by_name", True)]
