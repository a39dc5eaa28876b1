"""The committed schema equals the served one, and its examples work."""

import json
from pathlib import Path

import pytest
import yaml

from customers.api import examples
from customers.models import Company, Customer, Exhibition, Tag, Visit
from customers.tests.api import Caller, caller_of
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit

pytestmark = pytest.mark.django_db

COMMITTED = Path(__file__).resolve().parents[2] / "docs/openapi.yaml"


@pytest.fixture
def _rows_of_the_examples():
    visit = make_visit(customer=make_customer(company=make_company()), exhibition=make_exhibition())
    Tag.objects.create(name="VIP")
    for model, public_id in (
        (Company, examples.COMPANY),
        (Customer, examples.CUSTOMER),
        (Exhibition, examples.EXHIBITION),
        (Visit, examples.VISIT),
    ):
        model._default_manager.update(public_id=public_id)
    assert visit.pk


@pytest.mark.usefixtures("_rows_of_the_examples")
@pytest.mark.parametrize("path", examples.REQUESTS)
def test_example_of_the_documentation_is_accepted(alice, path):
    response = caller_of(alice).post(f"/api/v1/{path}/", examples.REQUESTS[path])

    body = response.json()
    if path == "visits/capture":
        assert [one["status"] for one in body["results"]] == ["recorded"]
    else:
        assert (response.status_code, body["id"] in response["Location"]) == (201, True)


def test_schema_shows_every_example_in_its_place():
    schema = yaml.safe_load(COMMITTED.read_text())
    for path, request in examples.REQUESTS.items():
        body = schema["paths"][f"/api/v1/{path}/"]["post"]["requestBody"]["content"]["application/json"]
        assert [one["value"] for one in body["examples"].values()] == [request]


def test_schema_is_served_as_it_is_committed():
    response = Caller().get("/api/v1/schema/")

    assert response["Content-Type"] == "application/json"
    assert response.json() == json.loads(json.dumps(yaml.safe_load(COMMITTED.read_text())))
