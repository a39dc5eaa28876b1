"""Rows shared by the tests of roles in the admin and the API."""

import pytest

from customers.models import Exhibition, Tag
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit


@pytest.fixture
def exhibition(db) -> Exhibition:
    return make_exhibition()


@pytest.fixture
def rows(exhibition) -> dict[str, object]:
    """One of each kind, of this exhibition."""
    visit = make_visit(exhibition=exhibition, customer=make_customer(company=make_company()))
    follow_up, tag = make_follow_up(visit=visit), Tag.objects.create(name="VIP")
    own = {"customer": visit.customer, "company": visit.customer.company, "exhibition": exhibition}
    return own | {"visit": visit, "followup": follow_up, "tag": tag}
