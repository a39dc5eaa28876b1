import json
from typing import Any

import pytest
from django.core.management import call_command

from core_apps.operations.tests.throwaway import App, migrate

pytestmark = pytest.mark.django_db(transaction=True)

BREAKS = "breaks_previous_version = True"


def read_report(capsys) -> Any:
    call_command("migration_report")
    return json.loads(capsys.readouterr().out)


def test_migration_report_tells_what_is_applied_and_what_breaks(app: App, capsys):
    migrate()
    app.add("contract", attributes=BREAKS)

    report = read_report(capsys)

    assert report["customers.0001_initial"] == {"known": True, "applied": True, "breaks_previous_version": False}
    assert report["throwaway.0001_initial"] == {"known": True, "applied": True, "breaks_previous_version": False}
    assert report["throwaway.0002_contract"] == {"known": True, "applied": False, "breaks_previous_version": True}


def test_migration_report_of_an_older_version_lists_what_it_does_not_know(app: App, capsys):
    name = app.add("contract", attributes=BREAKS)
    migrate()
    (app.folder / f"{name}.py").unlink()

    assert read_report(capsys)[f"throwaway.{name}"] == {
        "known": False,
        "applied": True,
        "breaks_previous_version": None,
    }
