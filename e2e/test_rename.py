"""A clone renamed with `make rename`."""

import compileall
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.checkout import Checkout, clone

# Longer than the names before, and shorter: what is laid out to the width of a line must stay so.
NAMES = [
    ("Acme Leads", "acme-leads"),
    ("Customers of the Northern Fair", "customers-of-the-northern-fair"),
    ("Ac", "ac"),
]
FORMER = "exhibition[-_ ]?crm|exhibition[_]db|messe[-]crm"
SECONDS = 900


def rename(checkout: Checkout, title: str, slug: str) -> tuple[int, str]:
    run = checkout.make("rename", f"NAME={title}", f"SLUG={slug}")
    output = run.wait()
    return run.process.returncode, output


def succeed(checkout: Checkout, *target: str) -> None:
    run = checkout.make(*target)
    output = run.wait(SECONDS)
    assert run.process.returncode == 0, output


def find_files(checkout: Checkout, pattern: str) -> list[str]:
    """Return files that contain the name, including binary ones."""
    command = ["git", "grep", "-l", "-i", "-E", pattern]
    return subprocess.run(command, cwd=checkout.path, capture_output=True, text=True).stdout.split()


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return clone(tmp_path, "self")


@pytest.mark.parametrize(("title", "slug"), NAMES)
def test_rename_leaves_nothing_of_the_former_name(fresh: Checkout, title: str, slug: str) -> None:
    code, output = rename(fresh, title, slug)

    assert code == 0, output
    assert find_files(fresh, FORMER) == ["LICENSE"]
    database = slug.replace("-", "_")
    for path, text in (
        ("config/settings.py", f'PROJECT_NAME = "{title}"'),
        ("docs/openapi.yaml", f"title: {title}\n"),
        ("docker-compose.yml", f"name: ${{COMPOSE_PROJECT:-{slug}}}\n"),
        ("docker-compose.dev.yml", f"POSTGRES_DB: {database}_db_dev,"),
        ("docker-compose.prod.yml", f"POSTGRES_USER: {database},"),
    ):
        assert text in (fresh.path / path).read_text()


@pytest.mark.parametrize(("title", "slug"), NAMES)
def test_renamed_code_compiles_and_is_laid_out(fresh: Checkout, title: str, slug: str) -> None:
    rename(fresh, title, slug)

    assert compileall.compile_dir(fresh.path, quiet=1)
    for command in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command], cwd=fresh.path, check=True)


def test_renamed_clone_is_renamed_again(fresh: Checkout) -> None:
    rename(fresh, "Acme Leads", "acme-leads")
    author = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    subprocess.run(["git", *author, "commit", "-aqm", "Rename"], cwd=fresh.path, check=True)

    code, output = rename(fresh, "Contacts", "contacts")

    assert code == 0, output
    prod = (fresh.path / "docker-compose.prod.yml").read_text()
    assert "@db:5432/contacts\n" in prod
    assert "{POSTGRES_DB: contacts, POSTGRES_USER: contacts, " in prod
    assert "contacts_db_dev" in (fresh.path / "docker-compose.dev.yml").read_text()
    assert find_files(fresh, "^name: .*acme|^PROJECT_NAME = .Acme") == []


def test_rename_refuses_names_that_are_missing(fresh: Checkout) -> None:
    code, output = rename(fresh, "", "")

    assert code != 0
    assert [name for name in ("NAME=''", "SLUG=''") if name not in output] == []
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=fresh.path) == b""


def test_rename_refuses_a_checkout_with_changes(fresh: Checkout) -> None:
    (fresh.path / "README.md").write_text("mine\n")

    code, output = rename(fresh, "Acme Leads", "acme-leads")

    assert code != 0
    assert "README.md" in output
    assert (fresh.path / "README.md").read_text() == "mine\n"


@pytest.mark.full
def test_renamed_clone_passes_its_tests_and_linters(fresh: Checkout) -> None:
    code, output = rename(fresh, "Acme Leads", "acme-leads")
    assert code == 0, output

    succeed(fresh, "test")
    succeed(fresh, "lint")
