import json

import pytest
from django.core.management import call_command

from customers.models import Customer

pytestmark = pytest.mark.django_db


def run_missing_files(capsys):
    call_command("missing_files")
    return json.loads(capsys.readouterr().out)


def test_missing_files_are_listed_with_their_rows(settings, tmp_path, capsys):
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/there.png").touch()
    Customer.objects.create(family_name="None")
    for name in ("there", "gone"):
        Customer.objects.create(family_name=name, photo=f"photos/{name}.png")

    assert run_missing_files(capsys) == {"named": 2, "missing": ["photos/gone.png"]}


def test_missing_files_without_rows_lists_none(capsys):
    assert run_missing_files(capsys) == {"named": 0, "missing": []}
