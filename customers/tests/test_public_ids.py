"""Every row that the API shows has a name that tells nothing."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

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


@pytest.mark.usefixtures("_one_of_each")
def test_public_ids_of_rows_from_before_are_filled():
    kinds = [kind for kind in KINDS if kind is not Customer]
    kept = Tag.objects.create(name="Press").public_id
    for kind in kinds:
        kind.objects.exclude(public_id=kept).update(public_id=None)
    with connection.schema_editor() as editor:
        import_module("customers.migrations.0013_fill_public_ids").fill(apps, editor)
    assert [kind.objects.filter(public_id=None).count() for kind in kinds] == [0] * len(kinds)
    assert Tag.objects.get(name="Press").public_id == kept
