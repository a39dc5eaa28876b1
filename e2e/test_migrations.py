"""The tests of the version before, on the schema of this one: what CI asks before a version is deployed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.checkout import SOURCE

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("customers", "{before}")]
    operations = [{operation}]
"""
TESTS = "customers/tests/test_models.py"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as it is committed, with a history of its own: no tag yet."""
    clone = tmp_path_factory.mktemp("clone") / "exhibition-crm"
    subprocess.run(["git", "clone", "-q", "--no-tags", str(SOURCE), str(clone)], check=True)
    return clone


def git(clone: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=clone, check=True)


def tag_first_version(clone: Path) -> None:
    git(clone, "reset", "-q", "--hard", "origin/HEAD")
    git(clone, "tag", "--force", "v1")


def commit_migration(clone: Path, name: str, operation: str) -> None:
    folder = clone / "customers/migrations"
    before = max(path.stem for path in folder.glob("0*.py"))
    (folder / f"{int(before[:4]) + 1:04}_{name}.py").write_text(MIGRATION.format(before=before, operation=operation))
    git(clone, "add", "customers/migrations")
    git(clone, "commit", "-q", "-m", name)


def run_previous(clone: Path) -> tuple[int, str]:
    """What `make test-previous` runs, in the environment of these tests instead of a second one like it."""
    command = [sys.executable, "-m", "config.local.previous", TESTS, "-q"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_without_an_older_tag_there_is_no_previous_version(clone: Path) -> None:
    assert run_previous(clone) == (0, "There is no older tag: no previous version to test.\n")


def test_tests_of_the_previous_tag_pass_on_a_schema_that_was_expanded(clone: Path) -> None:
    tag_first_version(clone)
    commit_migration(clone, "expand", 'migrations.AddField("company", "size", models.IntegerField(null=True))')
    # The version's own tag is not the one before it.
    git(clone, "tag", "v2")

    code, said = run_previous(clone)

    assert code == 0, said
    assert "The tests of v1, on the schema of this checkout:" in said
    assert " passed" in said


def test_tests_of_the_previous_tag_that_a_contraction_breaks_are_named(clone: Path) -> None:
    tag_first_version(clone)
    commit_migration(clone, "contract", 'migrations.RemoveField("company", "industry")')

    code, said = run_previous(clone)

    assert code == 1, said
    assert f"ERROR {TESTS}::" in said or f"FAILED {TESTS}::" in said
    assert "column customers_company.industry does not exist" in said or 'column "industry" of relation' in said
