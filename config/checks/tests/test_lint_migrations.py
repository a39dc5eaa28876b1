from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from config.checks import lint_migrations
from config.checks.lint_migrations import BLOCKING, BREAKING_CHANGES, REQUIRED_COLUMN, Linter
from core_apps.operations.tests.throwaway import NAME, App, app_in

MARK = "breaks_previous_version = True"
OTHER = 'migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])'
INDEX = 'models.Index(fields=["name"], name="throwaway_by_name")'


@pytest.fixture
def app(settings, transactional_db, tmp_path) -> Iterator[App]:
    with app_in(tmp_path, settings) as made:
        yield made


def lint(name: str, capsys) -> tuple[bool, list[str]]:
    """Return whether the linter refuses the throwaway app's migration, and its output."""
    linter = Linter()
    linter.lint_all_migrations(NAME, name)
    return linter.has_errors, [line.strip() for line in capsys.readouterr().out.splitlines()]


def alter(field: str) -> str:
    return f'migrations.AlterField("thing", "name", {field})'


def add(field: str, name: str = "size") -> str:
    return f'migrations.AddField("thing", "{name}", {field})'


COLUMN = "(table: throwaway_thing, column: name)"
SIZE = "(table: throwaway_thing, column: size)"
TABLE = "(table: throwaway_thing)"
IN_TWO = [
    ('migrations.RemoveField("thing", "name")', "DROP_COLUMN", COLUMN),
    ('migrations.RenameField("thing", "name", "title")', "RENAME_COLUMN", COLUMN),
    ('migrations.RenameModel("thing", "item")', "RENAME_TABLE", TABLE),
    ('migrations.DeleteModel("thing")', "DROP_TABLE", TABLE),
    (alter("models.IntegerField()"), "ALTER_COLUMN", COLUMN),
    (
        'migrations.RunSQL("alter table throwaway_thing\\n alter name\\n drop not null, drop column name")',
        "DROP_COLUMN",
        "",
    ),
    (
        'migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="throwaway_name"))',
        "ADD_UNIQUE",
        TABLE,
    ),
]


@pytest.mark.parametrize(("operation", "code", "where"), IN_TWO)
def test_migration_that_breaks_the_running_version_is_refused(operation, code, where, app: App, capsys):
    refused, said = lint(app.add("contract", operation), capsys)

    assert (refused, f"{BREAKING_CHANGES[code]} {where}".strip() in said) == (True, True), said


@pytest.mark.parametrize(("operation", "code", "where"), IN_TWO)
def test_migration_that_breaks_the_running_version_is_accepted_with_the_mark(operation, code, where, app: App, capsys):
    refused, said = lint(app.add("contract", operation, attributes=MARK), capsys)

    assert (refused, said[0]) == (False, "(throwaway, 0002_contract)... OK (ignored)"), said


@pytest.mark.parametrize(
    ("field", "refused"),
    [
        ("models.IntegerField()", True),
        ("models.IntegerField(default=1)", True),
        ("models.IntegerField(default=1, db_default=1)", False),
        ("models.IntegerField(null=True)", False),
    ],
)
def test_column_that_the_running_version_does_not_fill_needs_a_database_default(field, refused, app: App, capsys):
    # Beside one that has a default.
    name = app.add("size", add(field), add("models.IntegerField(db_default=1)", "weight"))

    expected = (
        ["(throwaway, 0002_size)... ERR", f"{REQUIRED_COLUMN} {SIZE}"] if refused else ["(throwaway, 0002_size)... OK"]
    )
    assert lint(name, capsys) == (refused, expected)


def test_set_not_null_is_refused_with_and_without_a_default(app: App, capsys):
    app.add("size", add("models.IntegerField(null=True)"))
    name = app.add("full", 'migrations.AlterField("thing", "size", models.IntegerField(db_default=1))')

    assert lint(name, capsys)[1][1:] == [f"{BREAKING_CHANGES['NOT_NULL']} {SIZE}"]


@pytest.mark.parametrize("attributes", ["", MARK])
@pytest.mark.parametrize(
    ("operation", "where"),
    [
        (f'migrations.AddIndex("thing", {INDEX})', TABLE),
        (add("models.IntegerField(null=True, db_index=True)"), TABLE),
        (add("models.IntegerField(null=True, unique=True)"), SIZE),
        (add('models.ForeignKey("throwaway.Other", models.CASCADE, null=True)'), TABLE),
    ],
)
def test_index_that_blocks_writes_is_refused_with_and_without_the_mark(operation, where, attributes, app: App, capsys):
    # Behind one on a new table, which is fine.
    new = 'migrations.AddIndex("other", models.Index(fields=["id"], name="throwaway_other_id"))'
    refused, said = lint(app.add("index", OTHER, new, operation, attributes=attributes), capsys)

    assert (refused, said[1:]) == (True, [f"{BLOCKING} {where}"])


def test_index_that_is_built_concurrently_is_accepted(app: App, capsys):
    name = app.add("index", f'AddIndexConcurrently("thing", {INDEX})', attributes="atomic = False")

    assert lint(name, capsys) == (False, ["(throwaway, 0002_index)... OK"])


def test_table_created_by_the_migration_is_not_checked(app: App, capsys):
    filled = 'migrations.AddField("other", "size", models.IntegerField(default=1, unique=True))'
    index = 'migrations.AddIndex("other", models.Index(fields=["size"], name="throwaway_size"))'

    assert lint(app.add("other", OTHER, filled, index), capsys) == (False, ["(throwaway, 0002_other)... OK"])


def test_several_operations_outside_of_a_transaction_are_refused(app: App, capsys):
    index = f'AddIndexConcurrently("thing", {INDEX})'
    refused, said = lint(
        app.add("both", add("models.IntegerField(null=True)"), index, attributes="atomic = False"), capsys
    )

    assert (refused, said[1:]) == (
        True,
        ["has several operations and atomic = False: if it fails between them, it cannot be repeated"],
    )


@pytest.mark.usefixtures("transactional_db")
def test_real_migrations_pass(capsys):
    lint_migrations.main()

    assert "ERR" not in capsys.readouterr().out


def test_column_renamed_over_three_deploys_fails_no_version_on_the_way(app: App, capsys):
    """CONTRIBUTING.md, Rename or remove a column."""
    default = "migrations.RunSQL(\"ALTER TABLE throwaway_thing ALTER COLUMN name SET DEFAULT ''\")"
    forget = 'migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "name")])'
    copy = "migrations.RunSQL(\"UPDATE throwaway_thing SET title = name WHERE title = ''\")"
    title = 'migrations.AddField("thing", "title", models.CharField(max_length=20, db_default=""))'
    drop = 'migrations.RunSQL("ALTER TABLE throwaway_thing DROP COLUMN name")'
    steps = [
        (app.add("expand", title), "name"),
        (app.add("move", copy, default, forget), "name, title"),
        (app.add("contract", drop, attributes=MARK), "title"),
    ]

    for name, columns in steps:
        refused, said = lint(name, capsys)
        call_command("migrate", NAME, name, verbosity=0)
        # As the version before writes, which still serves.
        with connection.cursor() as cursor:
            values = ", ".join("'Ada'" for _ in columns.split(", "))
            cursor.execute(f"INSERT INTO throwaway_thing ({columns}) VALUES ({values})")
        assert not refused, said

    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM throwaway_thing ORDER BY id")
        assert cursor.fetchall() == [("Ada",), ("Ada",), ("Ada",)]
