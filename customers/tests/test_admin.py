import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from customers.models import Customer, FollowUp, Tag, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db


def rows_of(response) -> list[str]:
    return [str(row) for row in response.context["cl"].result_list]


# Queries of a list page: the user, the count, the rows with what they show, what its filters offer, one's last export.
LISTS = [("exhibition", 4), ("company", 3), ("customer", 10), ("followup", 4), ("tag", 3), ("visit", 6)]


@pytest.mark.parametrize(("model", "queries"), LISTS)
@pytest.mark.parametrize("rows", [1, 3])
def test_list_page_takes_the_same_queries_for_1_and_3_rows(
    model, queries, rows, alice, client_of, django_assert_num_queries
):
    client = client_of(alice)
    for number in range(rows):
        visit = make_visit(
            customer=make_customer(
                email=f"{number}@nordlys.example", owner=alice, company=make_company(domain=f"c{number}.example")
            ),
            exhibition=make_exhibition(edition=str(number)),
            captured_by=alice,
        )
        make_follow_up(visit=visit, assignee=alice)
        Tag.objects.create(name=str(number))

    with django_assert_num_queries(queries):
        response = client.get(reverse(f"admin:customers_{model}_changelist"), secure=True)

    assert len(rows_of(response)) == rows


@pytest.mark.parametrize("model", ["exhibition", "company", "customer", "followup", "tag", "visit"])
def test_list_page_for_staff_without_rights_is_refused(model, charlie, client_of):
    charlie.is_staff = True
    charlie.save()

    assert client_of(charlie).get(reverse(f"admin:customers_{model}_changelist"), secure=True).status_code == 403


@pytest.mark.parametrize(
    "text",
    ["Haugen", "ingrid haugen", "INGRID@NORDLYS", "7946 0321", "+442079460321", "Nordlys Light"],
)
def test_customer_search_finds_by_part_of(text, alice, client_of):
    make_customer(phone="020 7946 0321", country="GB", company=make_company())
    make_customer(given_name="Jonas", family_name="Brandt", email="jonas@falkenberg.example")

    response = client_of(alice).get(reverse("admin:customers_customer_changelist"), {"q": text}, secure=True)

    assert rows_of(response) == ["Ingrid Haugen"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"owned": "me"}, ["Mine"]),
        ({"owned": "nobody"}, ["Nobody"]),
        ({"stage": "prospect"}, ["Mine"]),
        ({"exhibition": "met"}, ["Nobody"]),
        ({"exhibition": "nonsense"}, ["Gone", "Mine", "Nobody"]),
    ],
)
def test_customer_filter_narrows_the_list(parameters, expected, alice, client_of):
    make_customer(given_name="Mine", family_name="", owner=alice, stage="prospect")
    make_customer(given_name="Gone", family_name="", stage="inactive")
    visit = make_visit(customer=make_customer(given_name="Nobody", family_name=""))
    chosen = {key: visit.exhibition_id if value == "met" else value for key, value in parameters.items()}

    response = client_of(alice).get(reverse("admin:customers_customer_changelist"), chosen, secure=True)

    assert sorted(rows_of(response)) == expected


def test_visit_names_who_captured_it(bob, client_of):
    customer, exhibition = make_customer(), make_exhibition()
    page = reverse("admin:customers_visit_add")
    form = client_of(bob).get(page, {"customer": customer.pk}, secure=True).context["adminform"].form
    when = {"visited_at_0": "2026-03-11", "visited_at_1": "09:30", "exhibition": exhibition.pk, "grade": "B"}

    client_of(bob).post(page, form.initial | when | {"interests": "pumps, valves"}, secure=True)

    visit = Visit.objects.get()
    assert (visit.customer, visit.captured_by, visit.grade) == (customer, bob, "B")
    assert (visit.interests, visit.visited_at) == (["pumps", "valves"], datetime(2026, 3, 11, 8, 30, tzinfo=UTC))


def test_customer_form_with_bad_values_saves_nothing_and_says_why(alice, client_of):
    form = {"email": "nobody", "country": "ZZ", "stage": "won", "source": "stand"}

    response = client_of(alice).post(reverse("admin:customers_customer_add"), form, secure=True)

    errors = response.context["adminform"].errors
    assert {field: list(messages) for field, messages in errors.items()} == {
        "email": ["Enter a valid email address."],
        "country": ["Select a valid choice. ZZ is not one of the available choices."],
        "stage": ["Select a valid choice. won is not one of the available choices."],
        "family_name": ["Enter a name, an e-mail address or a phone number."],
    }
    assert Customer.objects.count() == 0


def test_new_visit_starts_with_the_open_exhibition_and_the_person(bob, client_of):
    today = timezone.localdate()
    exhibition = make_exhibition(starts_on=today - timedelta(1), ends_on=today + timedelta(1))
    make_exhibition(edition="2025")

    response = client_of(bob).get(reverse("admin:customers_visit_add"), secure=True)

    assert response.context["adminform"].form.initial == {"captured_by": bob.pk, "exhibition": exhibition.pk}


def test_new_customer_starts_with_the_person_as_owner(bob, client_of):
    response = client_of(bob).get(reverse("admin:customers_customer_add"), secure=True)

    assert response.context["adminform"].form.initial == {"owner": bob.pk}


def test_every_foreign_key_is_chosen_by_autocomplete(rf):
    for model in (Customer, FollowUp, Visit):
        keys = {field.name for field in model._meta.get_fields() if field.many_to_one or field.many_to_many}
        assert set(admin.site._registry[model].get_autocomplete_fields(rf.get("/"))) == keys


def test_company_with_customers_cannot_be_deleted(alice, client_of):
    company = make_company()
    make_customer(company=company)

    response = client_of(alice).post(
        reverse("admin:customers_company_delete", args=[company.pk]), {"post": "yes"}, secure=True
    )

    assert len(response.context["protected"]) == 1
    assert list(Customer.objects.values_list("company", flat=True)) == [company.pk]


def cells(response, column: str) -> list[str]:
    """The texts of a column of a list, from the first row to the last."""
    found = re.findall(rf'<td class="field-{column}[^>]*>(.*?)</td>', response.text)
    return [strip_tags(cell).strip() for cell in found]


def test_customers_show_the_latest_grade_and_the_next_follow_up(alice, client_of):
    visit, now = make_visit(grade="A", visited_at=datetime(2026, 3, 12, 9, tzinfo=UTC)), timezone.now()
    make_visit(grade="D", customer=visit.customer, exhibition=visit.exhibition)
    make_follow_up(customer=visit.customer, due_at=datetime(2026, 3, 20, tzinfo=UTC))
    upcoming = make_follow_up(customer=visit.customer, due_at=datetime(2026, 3, 18, tzinfo=UTC))
    make_follow_up(customer=visit.customer, due_at=datetime(2026, 3, 13, tzinfo=UTC), completed_at=now)
    make_customer(email="nothing@x.example")

    response = client_of(alice).get(reverse("admin:customers_customer_changelist"), secure=True)

    assert cells(response, "grade") == ["-", "A"]
    assert cells(response, "next_follow_up") == ["-", "03/18/2026"]
    assert reverse("admin:customers_followup_change", args=[upcoming.pk]) in response.text


def test_customers_show_no_grade_and_follow_up_of_another_stand(member_of, client_of):
    mine, other, customer = make_exhibition(), make_exhibition(edition="2027"), make_customer()
    make_visit(grade="B", customer=customer, exhibition=mine)
    later = make_visit(grade="A", customer=customer, exhibition=other, visited_at=datetime(2026, 3, 12, 9, tzinfo=UTC))
    make_follow_up(visit=later)

    people = [member_of("Stand staff", mine), member_of("Stand staff", other)]
    pages = [client_of(one).get(reverse("admin:customers_customer_changelist"), secure=True) for one in people]

    assert [cells(page, "grade") + cells(page, "next_follow_up") for page in pages] == [["B", "-"], ["A", "03/12/2026"]]


@pytest.mark.parametrize("model", ["customer", "followup"])
def test_list_links_to_write_and_to_call(model, alice, client_of):
    customer = make_customer(email="o'hara+x@nordlys.example", phone="020 7946 0321", country="GB")
    make_follow_up(customer=customer)
    make_follow_up(customer=make_customer(email="", family_name="Lie"))

    page = client_of(alice).get(reverse(f"admin:customers_{model}_changelist"), secure=True).text

    assert page.count('<a href="mailto:o%27hara%2Bx@nordlys.example">o&#x27;hara+x@nordlys.example</a>') == 1
    assert page.count('<a href="tel:+442079460321">020 7946 0321</a>') == 1
    assert (page.count("mailto:"), page.count("tel:")) == (1, 1)


def test_who_may_only_look_sees_outcomes_and_no_link_to_done(member_of, alice, client_of):
    make_follow_up(outcome="quote", completed_at=timezone.now())
    open_one = make_follow_up(customer=make_customer(email=""))
    address, link = reverse("admin:customers_followup_changelist") + "?state=all", f"/{open_one.pk}/done/"

    pages = [client_of(one).get(address, secure=True) for one in (alice, member_of("Read-only"))]

    assert [cells(page, "done") + cells(page, "outcome") for page in pages] == [
        ["Quote wanted", "Done"],
        ["Quote wanted", "-"],
    ]
    assert [page.text.count(link) for page in pages] == [1, 0]


@pytest.mark.parametrize("value", ["x", "\0", "9" * 20, "-1"])
@pytest.mark.parametrize(
    ("page", "field"), [("messaging_consent_add", "recipient"), ("customers_exhibition_add", "staff")]
)
def test_value_that_is_no_key_is_an_error_of_its_field(page, field, value, alice, client_of):
    response = client_of(alice).post(reverse(f"admin:{page}"), {field: value}, secure=True)

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors


@pytest.mark.parametrize("value", ["x", "\0", "9" * 20])
@pytest.mark.parametrize(
    ("name", "action"), [("webhooks_endpoint", "pause"), ("customers_customer", "archive"), ("tasks_task", "cancel")]
)
def test_selected_row_without_a_key_is_refused(name, action, value, alice, client_of):
    body = {"action": action, "_selected_action": [value]}

    assert client_of(alice).post(reverse(f"admin:{name}_changelist"), body, secure=True).status_code == 400
