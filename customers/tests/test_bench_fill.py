"""A database filled with fictitious customers: its distribution and its validity."""

import unicodedata
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bench import demo
from bench.fill import fill
from customers.demo import load_demo
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.tests.factories import make_company, make_customer

pytestmark = pytest.mark.django_db
MANY = 2000


def indexes() -> set[str]:
    """And triggers that are on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
        )
        return {definition for (definition,) in cursor.fetchall()}


def all_rows() -> int:
    return sum(model.objects.count() for model in (Company, Customer, Customer.tags.through, Visit, FollowUp))


def test_database_gets_so_many_customers_with_companies_and_visits():
    rows = fill(MANY)

    assert Customer.objects.count() == MANY
    assert Company.objects.count() == round(MANY / 7.7)
    assert 1.8 < Visit.objects.count() / MANY < 2.2
    assert rows == all_rows()


def test_search_text_equals_that_of_the_triggers():
    fill(MANY)

    for model in (Company, Customer):
        invented = dict(model.objects.values_list("pk", "search_text"))
        model.objects.update(search_text="")
        assert dict(model.objects.values_list("pk", "search_text")) == invented


def test_follow_ups_are_those_of_a_team_that_works(alice, bob, charlie):
    fill(MANY)

    follow_ups: Any = FollowUp.objects.select_related("visit")
    good = Visit.objects.filter(grade__in=("A", "B")).count()
    assert 0.3 * good < len(follow_ups) < 0.37 * good
    assert {one.assignee_id for one in follow_ups} == {alice.pk, bob.pk, None}
    done = [one for one in follow_ups if one.completed_at]
    assert 0.8 * len(follow_ups) < len(done) < len(follow_ups)
    assert {one.visit.customer_id == one.customer_id and one.visit.visited_at < one.due_at for one in follow_ups} == {
        True
    }
    times = [one.completed_at - one.visit.visited_at for one in done]
    assert all(timedelta(hours=1) <= time <= timedelta(hours=100) for time in times)
    assert max(one.completed_at for one in done) <= timezone.now()
    assert 0.4 < sum(time <= timedelta(days=1) for time in times) / len(times) < 0.6


def test_some_customers_are_tagged_owned_and_archived(alice, bob):
    fill(MANY)

    tagged = {tag.name: tag.customers.count() / MANY for tag in Tag.objects.all()}
    assert {name: round(share, 2) for name, share in tagged.items()} == {
        "Newsletter": 0.2,
        "Press": 0.02,
        "Reseller": 0.07,
        "VIP": 0.01,
    }
    assert set(Customer.objects.values_list("owner", flat=True)) == {alice.pk, bob.pk, None}
    assert set(Visit.objects.values_list("captured_by", flat=True)) == {alice.pk, bob.pk, None}
    archived = Customer.objects.archived()
    assert set(archived.values_list("stage", flat=True)) == {"inactive"}
    assert 0.2 < archived.count() / Customer.objects.filter(stage="inactive").count() < 0.4


@pytest.mark.usefixtures("alice")
def test_rows_pass_their_own_validation():
    fill(300)

    for model in (Company, Customer, Visit, FollowUp, Exhibition):
        for row in model.objects.all()[:300]:
            row.full_clean()


def test_shape_is_that_of_a_real_team():
    fill(MANY)

    sizes = sorted(Counter(Customer.objects.exclude(company=None).values_list("company", flat=True)).values())[::-1]
    assert sum(sizes[: Company.objects.count() // 10]) > 0.4 * MANY
    letters = {name[0] for name in Customer.objects.values_list("family_name", flat=True)}
    scripts = {unicodedata.name(letter).split()[0] for letter in letters}
    assert scripts >= {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HANGUL"}
    visited = Visit.objects.values_list("exhibition__starts_on", flat=True)
    assert max(visited) - min(visited) > timedelta(days=2 * 365)
    assert all(day <= timezone.localdate() for day in visited)
    blank = Customer.objects.filter(email="").count()
    assert 0.1 * MANY < blank < 0.2 * MANY


def test_visits_lie_on_days_of_their_exhibition():
    fill(100)

    for visit in Visit.objects.select_related("exhibition"):
        assert visit.exhibition.starts_on <= visit.visited_at.date() <= visit.exhibition.ends_on


def test_existing_rows_stay_and_new_rows_are_added():
    company = make_company()
    before, customer = indexes(), make_customer(company=company)

    fill(50)
    fill(50)

    assert indexes() == before
    assert Customer.objects.count() == 101
    assert make_customer(email="one.more@example.com").pk == max(Customer.objects.values_list("pk", flat=True))
    customer.refresh_from_db()
    assert customer.company == company


@pytest.mark.parametrize("number", ["0", "-5", "10000001", "x"])
def test_invalid_number_is_refused(number):
    with pytest.raises(SystemExit, match=f"from 1 to 10000000, not '{number}'"):
        demo.main(number)


def test_database_with_real_customers_is_not_changed():
    customer = make_customer(email="ingrid@nordlys.test")

    with pytest.raises(SystemExit, match=f"customer {customer.pk} is not a generated one"):
        demo.main("20")

    assert Customer.objects.count() == 1


def test_invented_customers_are_added_to_the_demo(capsys):
    load_demo()
    before = all_rows()

    demo.main("20")

    assert capsys.readouterr().out.startswith(f"Added {all_rows() - before} rows in ")
