"""Thousands of valid and invalid requests per role: every response must match the schema."""

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command

from core_apps.accounts.models import ApiToken
from core_apps.accounts.scopes import Scope
from customers.models import Exhibition
from customers.tests.api import run_server

FOLDER = Path(__file__).resolve().parent
SCHEMATHESIS = FOLDER.parent / ".venv/bin/schemathesis"
# Phases, and the least number of cases. «coverage» visits every edge of the schema, which takes a minute and a half.
ALL, SHORT = ("examples,coverage,fuzzing,stateful", 4_500), ("examples,fuzzing,stateful", 500)
# A change is judged by the same cases as the one before it; the full run asks something new each time.
SAME_CASES, OTHER_CASES = ("--seed", "1"), ()
ROLES = ("Administrator", "Manager", "Read-only", "Stand staff")


@pytest.fixture
def token_of(transactional_db, member_of, caplog):
    caplog.set_level("CRITICAL")  # a line for each request would bury what failed
    call_command("load_demo", verbosity=0)
    exhibitions = Exhibition.objects.order_by("-pk")[:5]

    def make(role):
        options = {"lifetime": timedelta(days=1), "name": "Fuzz", "scopes": Scope.values}
        return ApiToken.objects.create_token(member_of(role, *exhibitions), **options)[1]

    return make


@pytest.mark.parametrize(
    ("role", "asked", "seed"),
    [
        ("Stand staff", SHORT, SAME_CASES),
        *(pytest.param(role, ALL, OTHER_CASES, marks=pytest.mark.full) for role in ROLES),
    ],
)
def test_api_keeps_to_its_schema(token_of, role, asked, seed, tmp_path):
    phases, least = asked
    with run_server() as address:
        ran = subprocess.run(
            [
                SCHEMATHESIS,
                "--config-file",
                FOLDER / "schemathesis.toml",
                "run",
                f"{address}/api/v1/schema/",
                "--phases",
                phases,
                *seed,
            ],
            env=os.environ | {"TOKEN": token_of(role), "SCHEMATHESIS_HOOKS": "fuzz_checks", "PYTHONPATH": str(FOLDER)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    cases = re.search(r"(\d+) generated", ran.stdout)
    assert ran.returncode == 0, ran.stdout
    assert cases, ran.stdout
    print(f"{role}: {cases[1]} cases")
    assert int(cases[1]) >= least
