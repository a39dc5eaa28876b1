"""The application's part in a restore drill; e2e/backups/test_restore_drill.py runs one."""

import json

import pytest
from django.core.management import CommandError, call_command

from customers.models import Customer
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def manifest(tmp_path, settings):
    make_customer(email="1@nordlys.example")
    make_customer(email="2@nordlys.example", archived_at="2026-01-01T00:00Z")
    settings.ALLOWED_HOSTS = ["localhost"]

    def write(customers):
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({"tables": {"public.customers_customer": {"rows": customers, "hash": "1"}}}))
        return path

    return write


def test_restore_with_the_rows_of_its_manifest_is_proven(manifest, capsys):
    call_command("prove_restore", manifest(2))

    assert capsys.readouterr().out.startswith(
        "the application counts 2 rows, finds 0 files, and shows an administrator "
    )


def test_restore_with_other_rows_is_refused(manifest):
    with pytest.raises(CommandError, match=r"customers\.Customer has 2 rows; the manifest says 3"):
        call_command("prove_restore", manifest(3))


def test_restore_without_a_file_that_a_row_names_is_refused(manifest):
    Customer.objects.filter(email="1@nordlys.example").update(photo="photos/gone.png")

    with pytest.raises(CommandError, match=r"1 uploaded files are missing, the first is photos/gone\.png"):
        call_command("prove_restore", manifest(2))


def test_restore_of_rows_whose_files_are_in_a_bucket_is_proven(manifest, settings, capsys):
    settings.MEDIA_BUCKET = "crm-photos"
    Customer.objects.filter(email="1@nordlys.example").update(photo="photos/there.png")

    call_command("prove_restore", manifest(2))

    assert "counts 2 rows, finds 0 files, and" in capsys.readouterr().out
