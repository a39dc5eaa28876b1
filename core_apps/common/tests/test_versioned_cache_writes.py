from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from core_apps.accounts.models import User
from core_apps.common.versioned_cache import bump, versions
from core_apps.common.versioned_cache.writing import COMMITTED, notice

pytestmark = pytest.mark.django_db(transaction=True)

Write = Callable[[], object]


def run(sql: str, *parameters: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)


def run_many(sql: str, *rows: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)


def version() -> str:
    found = versions.current()
    assert found
    return found[0]


def makes_a_new_version(write: Write) -> bool:
    before = version()
    write()
    return version() != before


INSERT = "INSERT INTO auth_group (name) VALUES (%s)"
WRITES: dict[str, Write] = {
    "a form's save": lambda: Group(name="new").save(),
    "bulk_create": lambda: Group.objects.bulk_create([Group(name="one"), Group(name="two")]),
    "update()": lambda: Group.objects.update(name="same"),
    "delete()": lambda: Group.objects.create(name="new").delete(),
    "a relation": lambda: Group.objects.create(name="new").permissions.set(Permission.objects.all()[:2]),
    "raw SQL": lambda: run(INSERT, "new"),
    "several rows": lambda: run_many(INSERT, ["one"], ["two"]),
    "a query that writes": lambda: run(f"WITH new AS ({INSERT} RETURNING id) SELECT * FROM new", "new"),
    "several statements": lambda: run(f"SET LOCAL work_mem = '4MB'; {INSERT}", "new"),
    "MERGE": lambda: run(
        "MERGE INTO auth_group g USING (SELECT 'new' AS name) n ON g.name = n.name"
        " WHEN NOT MATCHED THEN INSERT (name) VALUES (n.name)"
    ),
    "TRUNCATE": lambda: run("TRUNCATE auth_group CASCADE"),
    "a change of a table": lambda: run("ALTER TABLE auth_group ALTER name SET STATISTICS -1"),
    "an outer transaction": lambda: in_transaction(lambda: Group.objects.create(name="new")),
}


def in_transaction(write: Write, *, fails: bool = False) -> None:
    try:
        with transaction.atomic():
            write()
            if fails:
                raise ValueError
    except ValueError:
        pass


@pytest.mark.parametrize("kind", WRITES)
def test_new_version_after(kind):
    assert makes_a_new_version(WRITES[kind])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM auth_group FOR UPDATE",
        "(SELECT name FROM auth_group) UNION (SELECT name FROM auth_group)",
        "WITH names AS (SELECT name FROM auth_group) SELECT * FROM names",
        "EXPLAIN SELECT name FROM auth_group",
        "  select name from auth_group",
        'UPDATE "accounts_user" SET "last_login" = now() WHERE false',
        "DELETE FROM django_session",
        "CREATE TEMP TABLE scratch (name text)",
    ],
)
def test_no_new_version_after(sql):
    assert not makes_a_new_version(lambda: run(sql))


def test_no_new_version_after_a_login(alice, client_of):
    assert not makes_a_new_version(lambda: client_of(alice))
    assert Session.objects.count() == 1


def test_new_version_after_other_columns_beside_the_last_login():
    changes = {"last_login": timezone.now(), "name": "x"}
    assert makes_a_new_version(lambda: User.objects.filter(name="Nobody").update(**changes))


def test_no_new_version_after_a_rollback():
    assert not makes_a_new_version(lambda: in_transaction(lambda: Group.objects.create(name="new"), fails=True))


@pytest.mark.parametrize("first_inside", [True, False])
def test_rollback_of_a_savepoint_keeps_what_the_transaction_owes(first_inside):
    def write() -> None:
        with transaction.atomic():
            if not first_inside:
                Group.objects.create(name="outside")
            in_transaction(lambda: Group.objects.create(name="inside"), fails=True)
            if first_inside:
                Group.objects.create(name="outside")

    assert makes_a_new_version(write)


def test_one_new_version_for_a_transaction_of_many_writes():
    before = version()
    in_transaction(lambda: [Group.objects.create(name=f"group {number}") for number in range(10)])

    assert int(version().split(".")[1]) == int(before.split(".")[1]) + 1


def test_new_version_before_other_hooks_of_the_commit_and_whatever_becomes_of_them():
    before, seen = version(), []

    def hook() -> None:
        seen.append(version())
        raise ValueError("a hook")

    with pytest.raises(ValueError, match="a hook"), transaction.atomic():  # noqa: PT012
        transaction.on_commit(hook)
        Group.objects.create(name="new")

    assert seen == [version()]
    assert version() != before


def test_copy_is_told():
    def copy() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.copy_expert("COPY auth_group (name) FROM STDIN", StringIO("new\n"))
            bump()

    assert makes_a_new_version(copy)


def test_wrapper_stays_when_a_connection_is_made_inside_of_another():
    connection.close()
    with connection.execute_wrapper(lambda execute, *arguments: execute(*arguments)):
        run("SELECT 1")

    assert connection.execute_wrappers.count(notice) == 1
    connection.close()
    run("SELECT 1")
    assert connection.execute_wrappers == [notice]


def lose_connection() -> None:
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 1000)", [connection.connection.get_backend_pid()])
    other.close()


def test_commit_whose_answer_is_lost_is_settled_later():
    COMMITTED.is_owed.clear()
    with pytest.raises(OperationalError), transaction.atomic():  # noqa: PT012
        Group.objects.create(name="new")
        lose_connection()

    connection.close()
    assert COMMITTED.is_owed.is_set()
    assert makes_a_new_version(COMMITTED.settle)
    assert not COMMITTED.is_owed.is_set()


def test_rollback_of_a_lost_connection_owes_nothing():
    COMMITTED.is_owed.clear()
    with pytest.raises(ValueError, match="no"), transaction.atomic():  # noqa: PT012
        Group.objects.create(name="new")
        lose_connection()
        raise ValueError("no")

    connection.close()
    assert not COMMITTED.is_owed.is_set()


def test_connection_lost_behind_the_commit_is_replaced_for_the_new_version():
    def write() -> None:
        with transaction.atomic():
            Group.objects.create(name="new")
            transaction.on_commit(lose_connection)
            # Before all other hooks: between the commit and the version.
            connection.run_on_commit.reverse()

    assert makes_a_new_version(write)
