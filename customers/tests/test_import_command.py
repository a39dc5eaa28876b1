import csv
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from customers.importing.service import LOCK
from customers.models import Company
from customers.tests.factories import make_company

pytestmark = pytest.mark.django_db

GOOD = "name,domain,ceo\nNordlys,nordlys.example,Ann\nFjord,fjord.example,Bob\n"
BAD = "name,domain,phone\nNordlys,nordlys.example,+47 22 12 34 56\n,fjord,=1+1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "companies.csv"


def run(*arguments: object) -> tuple[int, list[str], list[str]]:
    """Exit code and the lines on both outputs, as a person gets them."""
    out, err = StringIO(), StringIO()
    try:
        call_command("import_companies", *map(str, arguments), stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue().splitlines(), [*err.getvalue().splitlines(), str(error)]
    return 0, out.getvalue().splitlines(), err.getvalue().splitlines()


def test_summary_of_a_good_file_and_exit_code_0(file):
    file.write_text(GOOD)

    code, out, err = run(file)

    assert (code, err) == (0, [])
    assert out[:-1] == [
        "rows                 2",
        "created              2",
        "updated              0",
        "unchanged            0",
        "repeated             0",
        "skipped              0",
        "rejected             0",
        "Encoding utf-8, delimiter comma.",
        "Columns ignored: ceo.",
        "As stored:",
        "  line 2  name: Nordlys | web domain: nordlys.example",
        "  line 3  name: Fjord | web domain: fjord.example",
    ]


def test_rejected_row_is_reported_and_exit_code_is_1(file):
    file.write_text(BAD)

    code, out, err = run(file)

    assert (code, out[6]) == (1, "rejected             1")
    assert err == [
        "Line 3, name “”: This field cannot be blank.",
        "Line 3, domain “fjord”: “fjord” is not a web domain such as example.com.",
        "Rows rejected: 1.",
    ]
    assert Company.objects.count() == 1


def test_value_left_out_is_reported_and_exit_code_is_0(file):
    file.write_text("name,domain\nFjord,fjord\n")

    code, out, err = run(file)

    assert (code, err) == (0, [])
    assert out[0] == "Line 2, domain “fjord” left out: “fjord” is not a web domain such as example.com."
    assert list(Company.objects.values_list("name", "domain")) == [("Fjord", "")]


def test_only_the_first_values_left_out_are_printed(file):
    file.write_text("name,domain\n" + "".join(f"Fjord {number},fjord\n" for number in range(25)))

    out = run(file)[1]

    assert out[20] == "… and 5 more values left out; use --errors FILE to write all of their rows."


def test_same_company_again_is_reported_with_both_lines(file):
    file.write_text("name\nFjord\nVik\nFJORD\n")

    out = run(file)[1]

    assert (out[4], out[8]) == ("repeated             1", "Lines for the same company: 4 as 2.")


def test_guessed_encoding_is_named_as_a_guess_and_five_rows_are_shown_in_a_dry_run(file):
    file.write_bytes("name\n东方照明\nB\nC\nD\nE\nF\n".encode("gbk"))

    out = run(file, "--dry-run")[1]

    assert out[7] == ("Encoding cp1252 (a guess: if the rows below look wrong, state another one), delimiter comma.")
    assert out[8:14] == [
        "As stored:",
        "  line 2  name: ¶«·½ÕÕÃ÷",
        "  line 3  name: B",
        "  line 4  name: C",
        "  line 5  name: D",
        "  line 6  name: E",
    ]
    assert "  line 2  name: 东方照明" in run(file, "--encoding", "gbk")[1]


def test_only_the_first_rejected_rows_are_printed(file):
    file.write_text("name,domain\n" + ",fjord.example\n" * 25)

    code, _, err = run(file)

    assert (code, len(err)) == (1, 22)
    assert err[20:] == ["… and 5 more; use --errors FILE to write all of them.", "Rows rejected: 25."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "ceo"], "Invalid --map “ceo”. Use HEADER=FIELD."),
        (["--map", "cto=industry"], "There is no column “cto”. The columns are “name”, “domain”, “ceo”."),
        (["--encoding", "klingon"], "Unknown encoding “klingon”. Use a name such as utf-8 or windows-1252."),
    ],
)
def test_wrong_usage_ends_with_one_message_and_exit_code_2(arguments, message, file):
    file.write_text(GOOD)

    assert run(file, *arguments) == (2, [], [f"{file}: {message}"])


def test_database_that_is_away_ends_with_one_message_and_exit_code_2(file):
    file.write_text(GOOD)
    process = subprocess.run(
        [sys.executable, "manage.py", "import_companies", str(file)],
        env=os.environ | {"DATABASE_URL": "postgresql://crm:crm@127.0.0.1:9/crm"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (process.returncode, process.stdout, len(process.stderr.splitlines())) == (2, "", 1)
    assert process.stderr.startswith(f"CommandError: {file}: The database aborted the import: ")


def test_missing_file_ends_with_exit_code_2(file):
    assert run(file) == (2, [], [f"{file}: The file cannot be read: No such file or directory."])


def test_dry_run_writes_nothing_and_reports_what_would_happen(file):
    make_company(name="Nordlys", domain="nordlys.example", country="")
    file.write_text(BAD + "Fjell,fjell.example,\n")
    before = list(Company.objects.values())

    code, out, _ = run(file, "--dry-run")

    assert (code, out[:7]) == (
        1,
        [
            "rows                 3",
            "created              1",
            "updated              0",
            "unchanged            1",
            "repeated             0",
            "skipped              0",
            "rejected             1",
        ],
    )
    assert out[-1] == "Nothing was written; this is what would have happened."
    assert list(Company.objects.values()) == before


@pytest.mark.parametrize(("text", "code", "names"), [(GOOD, 0, ["Nordlys", "Fjord"]), (BAD, 1, [])])
def test_strict_writes_all_rows_or_none(text, code, names, file):
    file.write_text(text)

    assert run(file, "--strict")[0] == code
    assert list(Company.objects.order_by("pk").values_list("name", flat=True)) == names


def test_mode_and_map_reach_the_import(file):
    file.write_text(GOOD)

    assert run(file, "--mode", "create", "--map", "ceo=industry")[0] == 0
    assert list(Company.objects.order_by("pk").values_list("industry", flat=True)) == ["Ann", "Bob"]


def test_file_that_proves_unusable_late_writes_nothing(file, monkeypatch):
    monkeypatch.setattr("customers.importing.service.MAX_ROWS", 10)
    rows = "".join(f"Company {number},c{number}.example\n" for number in range(100))
    file.write_text(f'name,domain\n{rows}"Fjord')

    code, out, err = run(file, "--errors", file.with_name("errors.csv"))

    assert (code, out, err) == (2, [], [f"{file}: The record at line 102 has an unclosed quote."])
    assert Company.objects.count() == 0
    assert sorted(file.parent.iterdir()) == [file]


def test_errors_file_holds_line_column_value_reason_and_the_row(file):
    file.write_text(BAD + "Vik,vik.example\nFjell,f,-5\n")
    errors = file.with_name("errors.csv")

    run(file, "--errors", errors)

    with errors.open(encoding="utf-8-sig", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["line", "column", "value", "reason", "name", "domain", "phone"],
            [
                "3",
                "name | domain",
                " | fjord",
                "This field cannot be blank. | “fjord” is not a web domain such as example.com.",
                "",
                "fjord",
                "'=1+1",
            ],
            ["5", "domain", "f", "Left out: “f” is not a web domain such as example.com.", "Fjell", "f", "-5"],
        ]


def test_corrected_errors_file_can_be_imported(file):
    file.write_text(BAD)
    errors = file.with_name("errors.csv")
    run(file, "--errors", errors)
    errors.write_text(errors.read_text().replace(",fjord,", "Fjord,fjord.example,"))

    code, out, _ = run(errors)

    assert (code, out[1], out[8]) == (
        0,
        "created              1",
        "Columns ignored: line, column, value, reason, phone.",
    )


def test_formula_in_errors_file_is_escaped(file):
    errors = file.with_name("errors.csv")
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "country", "more"], ["Fjord", "Atlantis", "=HYPERLINK(A1)"]])

    run(file, "--errors", errors)

    with errors.open(encoding="utf-8-sig", newline="") as stream:
        assert list(csv.reader(stream))[1][-1] == "'=HYPERLINK(A1)"


def test_errors_file_that_cannot_be_written_is_rejected_before_the_import(file):
    file.write_text(GOOD)
    elsewhere = file.parent / "missing" / "errors.csv"

    assert run(file, "--errors", elsewhere) == (
        2,
        [],
        [f"{file}: {elsewhere} cannot be written: No such file or directory."],
    )
    assert run(file, "--errors", file)[2] == [
        f"{file}: {file} is the file to import: choose another file for the rejected rows."
    ]
    assert run(file, "--errors", file.parent)[2] == [
        f"{file}: {file.parent} is not a file: choose another file for the rejected rows."
    ]
    assert (Company.objects.count(), file.read_text()) == (0, GOOD)


def test_control_characters_of_a_value_are_shown_as_escapes(file):
    file.write_text("name,domain\nFjord,\x1b[2Jfjord\n")

    assert run(file)[1][0] == (
        r"Line 2, domain “\x1b[2Jfjord” left out: “\x1b[2jfjord” is not a web domain such as example.com."
    )


@pytest.mark.django_db(transaction=True)
def test_import_that_finds_another_one_running_gives_up(file, settings):
    file.write_text(GOOD)
    other = connections.create_connection("default")
    try:
        other.ensure_connection()
        with other.cursor() as cursor, connection.cursor() as own:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            own.execute("SET lock_timeout = '100ms'")
            assert run(file) == (2, [], [f"{file}: Another import is running. Try again when it has finished."])
            own.execute("RESET lock_timeout")
    finally:
        other.close()
    assert Company.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_rolls_back_with_one_line(file):
    rows = "".join(f"Company {number},c{number}.example\n" for number in range(200_000))
    file.write_text(f"name,domain\n{rows}")
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "import_companies", str(file)],
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores it, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for_import()

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "CommandError: Interrupted. Nothing was written.\n")
    assert Company.objects.count() == 0


def wait_for_import() -> None:
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            # Of this database alone: other workers import into theirs.
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
                " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
            )
            if cursor.fetchone() == (1,):
                return
            time.sleep(0.05)
    raise AssertionError("The import did not start.")
