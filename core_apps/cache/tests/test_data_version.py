"""What counts as a write, and how often."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from core_apps.cache.versioned_cache import current_version, get_tracked_columns

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO auth_group (name) VALUES ('new')"
WRITES = {
    "save()": lambda: Group(name="new").save(),
    "bulk_create()": lambda: Group.objects.bulk_create([Group(name="one"), Group(name="two")]),
    "update()": lambda: Group.objects.update(name="same"),
    "delete()": lambda: Group.objects.create(name="new").delete(),
    "a relation": lambda: Group.objects.create(name="new").permissions.set(Permission.objects.all()[:2]),
    "SQL": lambda: run(INSERT),
    "a query that writes": lambda: run(f"WITH new AS ({INSERT} RETURNING id) SELECT * FROM new"),
    "TRUNCATE": lambda: run("TRUNCATE auth_group CASCADE"),
    "another column beside the last login": lambda: get_user_model().objects.update(
        last_login=timezone.now(), name="x"
    ),
}


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def steps(write) -> int:
    before = int(current_version().partition(".")[2])
    write()
    return int(current_version().partition(".")[2]) - before


@pytest.mark.parametrize("kind", WRITES)
def test_new_version_after(kind):
    assert steps(WRITES[kind]) >= 1


def test_no_new_version_after_a_login_or_a_session(alice, client_of):
    assert steps(lambda: client_of(alice)) == 0
    assert Session.objects.count() == 1


def test_one_new_version_for_a_transaction_and_none_for_one_that_is_rolled_back():
    def write_in_transaction(*, fails: bool) -> None:
        with transaction.atomic():
            for number in range(3):
                Group.objects.create(name=f"group {number} {fails}")
            transaction.set_rollback(fails)

    assert steps(lambda: write_in_transaction(fails=True)) == 0
    assert steps(lambda: write_in_transaction(fails=False)) == 1


@pytest.mark.parametrize("first_inside", [True, False])
def test_rollback_of_a_savepoint_keeps_what_the_transaction_has_written(first_inside):
    def write() -> None:
        with transaction.atomic():
            if not first_inside:
                Group.objects.create(name="before")
            with transaction.atomic():
                Group.objects.create(name="inside")
                transaction.set_rollback(True)
            if first_inside:
                Group.objects.create(name="after")

    assert steps(write) == 1


def test_writers_do_not_wait_for_each_other():
    def write(number: int) -> None:
        with transaction.atomic():
            Group.objects.create(name=f"group {number}")
            together.wait()  # each holds its row of data_version until all have one
        connection.close()

    together = Barrier(80, timeout=20)
    with ThreadPoolExecutor(80) as threads:
        assert steps(lambda: list(threads.map(write, range(80)))) == 80


def test_writer_with_a_snapshot_of_its_own_is_not_refused():
    def write() -> None:
        other = connection.copy()
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM auth_group")
            Group.objects.create(name="meanwhile")
            cursor.execute(INSERT)
        other.commit()
        other.close()

    assert steps(write) == 2


def test_every_table_that_answers_may_show_has_the_trigger():
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'data_version'")
        installed = {table for (table,) in cursor.fetchall()}

    assert installed == set(get_tracked_columns())
    assert installed >= {"customers_customer", "customers_customer_tags", "accounts_user", "auth_group_permissions"}
