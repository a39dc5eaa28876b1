"""Every row of the API has a public id that reveals nothing."""

import pytest

from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.tests.factories import make_company, make_exhibition, make_follow_up, make_visit

KINDS = (Company, Customer, Exhibition, FollowUp, Tag, Visit)


@pytest.fixture
def _one_of_each(db):
    make_follow_up(visit=make_visit(exhibition=make_exhibition()))
    make_company()
    Tag.objects.create(name="VIP")


@pytest.mark.usefixtures("_one_of_each")
def test_public_id_of_a_new_row_is_random():
    names = {kind.objects.get().public_id for kind in KINDS}
    assert len(names) == len(KINDS)
    assert {name.version for name in names if name} == {4}
