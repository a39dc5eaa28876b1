import pytest
from django.core.management import call_command

from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.tests.factories import make_company

pytestmark = pytest.mark.django_db
MODELS = (Exhibition, Company, Customer, Visit, FollowUp, Tag)


def counts() -> list[int]:
    return [model.objects.count() for model in MODELS]


def test_demo_fills_an_empty_database_once(capsys):
    call_command("load_demo")
    first = counts()
    call_command("load_demo")

    assert first[:3] == [40, 12, 24]
    assert first[3:] == [48, 28, 3]
    assert counts() == first
    assert capsys.readouterr().out == "Demo loaded.\nDemo not loaded: the database is not empty.\n"


def test_demo_rows_pass_their_own_validation():
    call_command("load_demo")

    for model in MODELS:
        for row in model.objects.all():
            row.full_clean()


def test_demo_visits_lie_on_days_of_their_exhibition():
    call_command("load_demo")

    for visit in Visit.objects.select_related("exhibition"):
        assert list(Exhibition.objects.filter(pk=visit.exhibition_id).open_at(visit.visited_at)) == [visit.exhibition]


def test_demo_people_cannot_be_reached():
    call_command("load_demo")

    assert not Customer.objects.exclude(email__endswith=".example").exists()
    assert Customer.objects.get(given_name="Étienne").email == "etienne.barrault@montclar.example"


def test_demo_does_not_change_a_database_with_rows(capsys):
    make_company()
    call_command("load_demo")

    assert counts() == [0, 1, 0, 0, 0, 0]
    assert capsys.readouterr().out == "Demo not loaded: the database is not empty.\n"
