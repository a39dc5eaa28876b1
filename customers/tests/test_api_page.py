"""The commands of docs/api.md."""

import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from core_apps.accounts.models import ApiToken
from core_apps.accounts.scopes import Scope
from customers.models import Customer, FollowUp, Visit
from customers.tests.api import run_server
from customers.tests.factories import make_company, make_customer, make_exhibition

PAGE = Path(__file__).resolve().parents[2] / "docs/api.md"
MARK = "=== next ==="


@pytest.fixture
def address(transactional_db):
    with run_server() as address:
        yield address


@pytest.fixture
def answers(address, alice):
    """What each block prints, all of them run in one shell."""
    make_exhibition()
    make_customer(company=make_company(), country="NO")
    _, token = ApiToken.objects.create_token(alice, timedelta(hours=1), name="Page", scopes=Scope.values)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    script = f"echo; echo '{MARK}'\n".join(["set -euo pipefail\n", *blocks])
    environment = os.environ | {"CRM": address, "TOKEN": token}
    ran = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [printed.strip() for printed in ran.stdout.split(MARK)]


def test_commands_of_the_page_work(answers):
    _, _, lists, leads, created, edited, refused, unchanged, captured, last = answers
    exhibitions, customers, found = map(json.loads, filter(None, lists.splitlines()))
    assert [one["name"] for one in exhibitions["results"]] == ["Harbour Fair"]
    assert [one["full_name"] for one in customers["results"]] == ["Ingrid Haugen"]
    assert [list(one) for one in found["results"]] == [["id", "full_name", "email"]]
    assert json.loads(leads)["results"] == []
    assert json.loads(created)["full_name"] == "Nils Holm"
    assert json.loads(edited)["job_title"] == "Buyer"
    assert '"status":412' in refused
    assert refused.endswith("Read it again first.")
    assert unchanged == "304"
    suggested, recorded = map(json.loads, filter(None, captured.splitlines()))
    assert [one["name"] for one in suggested["customers"]] == ["Ingrid Haugen"]
    assert [one["status"] for one in recorded["results"]] == ["recorded", "recorded"]
    assert last.endswith("A customer with visits can only be archived.")


def test_commands_of_the_page_leave_what_they_say(answers, alice):
    nils = Customer.objects.get(given_name="Nils")
    assert (nils.job_title, nils.archived, nils.owner) == ("Buyer", True, alice)
    assert FollowUp.objects.get().customer == nils
    assert [visit.note for visit in Visit.objects.order_by("pk")] == ["Wants a quote", ""]
