"""`make prod-restore-drill` passes where a backup restores, fails where it does not, and leaves alone what serves."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.backups.restores import Restorable
from e2e.stack import Stack, seconds_until

# A manifest with another number of rows, whose own SHA-256 is right.
MISCOUNT = """
import sys
from dataclasses import replace
from pathlib import Path
from backup import manifest
from backup.database import Table
directory = Path("/backups") / sys.argv[1]
found = manifest.read(directory)
tables = found.contents.tables
visits = tables["public.customers_visit"]
tables["public.customers_visit"] = Table(visits.rows + 1, visits.hash)
(directory / "manifest.json").write_text(found.as_text())
"""
# One byte of one image, in an archive whose SHA-256 is in the manifest as if that were right.
SPOIL = """
import sys
from pathlib import Path
from backup import manifest, parts
directory = Path("/backups") / sys.argv[1]
found = manifest.read(directory)
path = directory / "media.tar"
data = bytearray(path.read_bytes())
data[data.index(b"IDAT")] ^= 1
path.write_bytes(data)
found.files["media.tar"] = parts.measured(path)
(directory / "manifest.json").write_text(found.as_text())
"""
AGE = """
import json, pathlib, sys
path = pathlib.Path("/backups/.state/drill.json")
facts = json.loads(path.read_text())
facts["time"] = "2026-01-01T00:00:00+00:00"
path.write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def site(stack_of: Callable[[str], Stack]) -> Restorable:
    site = Restorable(stack_of("prod"))
    site.add("kept", 30, 20)
    return site


def drill(site: Restorable, fails: bool = False, **arguments: str) -> str:
    said = site.stack.make("prod-restore-drill", *(f"{name}={value}" for name, value in arguments.items()), fails=fails)
    print(said)
    return said


def last(site: Restorable) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.service.shell("cat /backups/.state/drill.json"))
    return found


def left(site: Restorable) -> tuple[list[str], str]:
    """Files of a drill, and processes of its servers."""
    list_all = ["sh", "-c", "cat /proc/[0-9]*/cmdline"]
    processes = "".join(site.stack.within(service, *list_all) for service in ("backup", "drill"))
    return site.service.shell("find /drill -mindepth 1").split(), " ".join(re.findall(r"postgres|gunicorn", processes))


def test_drill_passes_and_touches_nothing_that_serves(site: Restorable) -> None:
    name, before = site.back_up(), site.state()
    containers = [site.stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "redis")]
    said = drill(site)
    tables = before.contents["tables"]
    rows = sum(table["rows"] for table in tables.values())
    words = (
        rf"PASS  backup {name}, [\d.]+ s: {rows} rows in {len(tables)} tables and 20 media files are as they were,"
        r" \d+ sequences go on, the application starts, and an administrator logs in and sees 30 customers\n"
    )
    assert re.search(words, said)
    assert (site.state(), site.databases()) == (before, ["exhibition", "postgres"])
    assert [site.stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "redis")] == containers
    assert left(site) == ([], "")
    assert re.search(r"^drill +\d+ seconds ago: PASS  backup ", site.stack.make("prod-status"), re.M)
    (line,) = [line for line in site.service.log() if line["message"] == "drill passed"]
    assert (line["name"], line["rows"], line["media_files"], line["listed"]) == (name, rows, 20, 30)


def test_application_of_the_drill_meets_nobody(site: Restorable) -> None:
    assert list(site.stack.inspect("drill")["NetworkSettings"]["Networks"]) == ["none"]
    assert not re.search("PASSWORD|SECRET", " ".join(site.stack.inspect("drill")["Config"]["Env"]))


@pytest.mark.parametrize(
    ("spoiling", "words"),
    [
        (SPOIL, r"media\.tar holds other files than its manifest names"),
        (
            MISCOUNT,
            r"what was loaded is not what was backed up: table public\.customers_visit has 30 rows instead of 31",
        ),
    ],
)
def test_drill_fails_where_a_restore_would_not_be_what_was_backed_up(
    site: Restorable, spoiling: str, words: str
) -> None:
    name = site.back_up()
    site.stack.within("backup", "python3", "-c", spoiling, name)
    said = drill(site, fails=True)
    assert re.search(rf"FAIL  backup {name}, [\d.]+ s: [^\n]*{words}", said)
    assert left(site) == ([], "")
    assert re.search(rf"^drill +\d+ seconds ago: FAIL  backup {name}", site.stack.make("prod-status"), re.M)
    assert site.service.log()[-1]["level"] == "ERROR"


def test_drill_fails_where_a_row_has_lost_its_file(site: Restorable) -> None:
    site.service.sql("UPDATE customers_customer SET photo = 'photos/gone.png' WHERE family_name = 'kept7'")
    site.back_up()
    said = drill(site, fails=True)
    assert "1 files that rows name are missing, the first is photos/gone.png" in said
    site.service.sql("UPDATE customers_customer SET photo = 'photos/kept-7.png' WHERE family_name = 'kept7'")


def test_drill_fails_where_a_sequence_is_behind(site: Restorable) -> None:
    (highest, last_value) = (site.service.sql(f"SELECT {of}") for of in ("max(id) FROM customers_visit", "5"))
    site.service.sql("SELECT setval('customers_visit_id_seq', 5)")
    site.back_up()
    said = drill(site, fails=True)
    assert f"sequence public.customers_visit_id_seq is at {last_value}, and customers_visit.id at {highest}" in said
    site.service.sql(f"SELECT setval('customers_visit_id_seq', {highest})")


def test_drill_runs_by_itself_once_a_week(site: Restorable) -> None:
    name = site.back_up()
    drill(site)
    site.stack.within("backup", "python3", "-c", AGE)
    seconds = seconds_until(lambda: not last(site)["time"].startswith("2026-01-01"), 60)
    print(f"a drill that was due had run by itself after {seconds:.1f} s: {last(site)}")
    assert (last(site)["backup"], last(site)["reason"], left(site)) == (name, "", ([], ""))


def test_drill_of_an_encrypted_backup_waits_for_the_key(site: Restorable, tmp_path: Path) -> None:
    key = site.service.shell("age-keygen 2>/dev/null")
    (recipient,) = re.findall(r"public key: (\S+)", key)
    name = site.back_up(BACKUP_AGE_RECIPIENTS=recipient)
    site.stack.within("backup", "python3", "-c", AGE)
    assert "backups are encrypted: make prod-restore-drill IDENTITY=file of the key" in site.stack.make("prod-status")
    assert f"{name} is encrypted: IDENTITY=file names the private key of {recipient}" in drill(site, fails=True)
    assert last(site)["time"].startswith("2026-01-01")
    (tmp_path / "key").write_text(key)
    assert f"PASS  backup {name}, " in drill(site, IDENTITY=str(tmp_path / "key"))
    assert left(site) == ([], "")
