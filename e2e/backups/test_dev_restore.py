"""A backup of the prod tier on a laptop: it is complete, and contains no personal data."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.stack import ADMINISTRATOR, DATABASE, PASSWORD, Stack

PEOPLE = 500
TOLD = ("Ingeborg", "ohm-leuchten", "+49 30 901820", "studies in Porto", ADMINISTRATOR)
SEED = f"""
INSERT INTO customers_company (name, domain, country, industry, website)
  VALUES ('Ohm Leuchten', 'ohm-leuchten.example', 'DE', 'Energy', 'https://ohm-leuchten.example/');
INSERT INTO customers_customer (given_name, family_name, email, phone, phone_e164, job_title, country, stage, source,
                                notes, photo, company_id)
  SELECT 'Ingeborg', 'Ohm ' || n, n || '@ohm-leuchten.example', '+49 30 901820', '+4930901820', 'Prokuristin', 'DE',
         'lead', 'stand', 'Her daughter studies in Porto.', '', (SELECT id FROM customers_company)
  FROM generate_series(1, {PEOPLE}) n;
"""


@dataclass
class Laptop:
    dev: Stack
    prod: Stack
    backup: Path

    def sql(self, statement: str) -> str:
        return sql(self.dev, "exhibition_db_dev", "dev_user", statement)

    def dump_databases(self) -> str:
        """Dump all databases of the server as text, without the lines that differ every time."""
        return re.sub(
            r"^\\(un)?restrict .*$", "", self.dev.within("db", "pg_dumpall", "--username", "dev_user"), flags=re.M
        )

    def take(self) -> None:
        """Replace the backup by another one."""
        subprocess.run(["rm", "-rf", self.backup.parent], check=True)
        self.backup = take_backup(self.prod)


def sql(stack: Stack, database: str, user: str, statement: str) -> str:
    return stack.within("db", "psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database, "-c", statement)


def take_backup(prod: Stack) -> Path:
    """Copy the newest backup from the server as documented."""
    prod.make("prod-backup")
    name = prod.within("backup", "sh", "-c", "ls /backups").split()[-1]
    place = prod.checkout.parent / "brought"
    place.mkdir()
    prod.run("sh", "-c", f"docker compose exec -T backup tar -C /backups -c {name} | tar -C {place} -x --no-same-owner")
    return place / name


@pytest.fixture(scope="module")
def laptop(stack_of: Callable[[str], Stack]) -> Laptop:
    prod, dev = stack_of("prod"), stack_of("dev")
    prod.make("prod-env")
    prod.compose("up", "--build", "--detach", "--wait", "db", "backup")
    sql(prod, DATABASE, DATABASE, SEED)
    administrator = ["-e", f"DJANGO_SUPERUSER_EMAIL={ADMINISTRATOR}", "-e", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}"]
    prod.compose(
        "run", "--rm", "--no-deps", "-T", *administrator, "web", "python", "manage.py", "createsuperuser", "--noinput"
    )
    backup = take_backup(prod)
    dev.make("dev-up")
    return Laptop(dev, prod, backup)


def test_backup_without_consent_changes_nothing(laptop: Laptop) -> None:
    said = laptop.dev.make("dev-restore", f"BACKUP={laptop.backup}", fails=True)
    assert f"This replaces the database of {laptop.dev.project} with backup {laptop.backup.name}." in said
    assert laptop.sql("SELECT count(*) FROM customers_customer") == "0\n"


def test_all_rows_come_and_nothing_that_tells_of_a_person(laptop: Laptop) -> None:
    source = laptop.prod.within("db", "pg_dumpall", "--username", DATABASE)
    assert [text for text in TOLD if text not in source] == []
    laptop.dev.make("dev-restore", f"BACKUP={laptop.backup}", "FORCE=1")
    assert laptop.sql("SELECT count(*), count(DISTINCT email), max(given_name) <> '' FROM customers_customer") == (
        f"{PEOPLE}|{PEOPLE}|t\n"
    )
    copy = laptop.dump_databases()
    assert [text for text in TOLD if text in copy] == []
    laptop.dev.wait_to_be("healthy", "web")
    assert laptop.dev.get("/api/v1/ready/").text == '{"status": "ready"}'


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("", "BACKUP is not set: the directory of a backup, copied from the server."),
        ("docs", "docs is not a backup directory: it has no manifest.json."),
    ],
)
def test_what_is_no_backup_is_refused(laptop: Laptop, directory: str, said: str) -> None:
    assert said in laptop.dev.make("dev-restore", f"BACKUP={directory}", "FORCE=1", fails=True)


def test_column_that_nobody_classified_keeps_the_copy_out(laptop: Laptop) -> None:
    sql(laptop.prod, DATABASE, DATABASE, "ALTER TABLE customers_visit ADD badge_name text")
    laptop.take()
    before = laptop.dump_databases()
    said = laptop.dev.make("dev-restore", f"BACKUP={laptop.backup}", "FORCE=1", fails=True)
    assert "Not classified: customers_visit.badge_name." in said
    assert laptop.dump_databases() == before


def test_byte_that_has_changed_keeps_the_copy_out(laptop: Laptop) -> None:
    dump = laptop.backup / "database.dump"
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    before = laptop.dump_databases()
    said = laptop.dev.make("dev-restore", f"BACKUP={laptop.backup}", "FORCE=1", fails=True)
    assert "database.dump" in said
    assert laptop.dump_databases() == before
