import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from customers.models import Capture, Company, Customer, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit

pytestmark = pytest.mark.django_db
SEARCH = reverse("api_capture_customers")


@pytest.fixture
def exhibition():
    return make_exhibition()


@pytest.fixture
def dana(member_of, exhibition):
    """Stand staff of the exhibition."""
    return member_of("Stand staff", exhibition, name="Dana")


def entry_of(exhibition, **changes):
    return {
        "client_uuid": "0d3fa1ac-6a3b-4c6f-9ba5-0c9ed9a3a111",
        "exhibition": str(exhibition.public_id),
        "visited_at": "2026-03-11T09:30:00.000Z",
        "new_customer": {"family_name": "Haugen"},
        **changes,
    }


def of_known(customer, exhibition, **changes):
    entry = entry_of(exhibition, customer=str(customer.public_id), **changes)
    del entry["new_customer"]
    return entry


def send(client: Client, entry: object):
    """As the page does it: one entry at a time, by the session of the person."""
    body = {"entries": [entry]}
    return client.post(reverse("api_capture"), body, content_type="application/json", secure=True)


def outcome(client: Client, entry: object):
    return send(client, entry).json()["results"][0]


def search(person, text: str):
    client = Client()
    client.force_login(person)
    return client.get(SEARCH, {"search": text}, secure=True).json()["customers"]


def hit(customer, **changes):
    """The answer about a customer, whole."""
    return {"id": str(customer.public_id), "name": customer.full_name, "job_title": "", "company": ""} | changes


def counts() -> list[int]:
    return [model.objects.count() for model in (Customer, Company, Visit, Capture)]


def test_new_customer_is_recorded_with_owner_company_and_visit(dana, exhibition, client_of):
    person = {"given_name": "Ingrid", "family_name": "Haugen", "company": "Nordlys Lighting"}
    person |= {"email": "Ingrid@Nordlys.example", "phone": "+47 22 12 34 56"}
    entry = entry_of(exhibition, new_customer=person, grade="A", interests=["pumps", "valves"], note="Wants a quote.")

    assert outcome(client_of(dana), entry)["status"] == "recorded"
    visit = Visit.objects.get()
    assert (visit.exhibition, visit.captured_by, visit.grade) == (exhibition, dana, "A")
    assert (visit.interests, visit.note) == (["pumps", "valves"], "Wants a quote.")
    assert visit.visited_at == datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
    customer = visit.customer
    assert (str(customer), customer.email, customer.phone_e164) == (
        "Ingrid Haugen",
        "ingrid@nordlys.example",
        "+4722123456",
    )
    assert (customer.owner, customer.source, str(customer.company)) == (dana, "stand", "Nordlys Lighting")
    assert (visit.capture.captured_by, str(visit.capture.client_uuid)) == (dana, entry["client_uuid"])


def test_known_customer_gets_a_visit_and_nothing_else(dana, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)

    entry = of_known(visit.customer, exhibition, visited_at="2026-03-11T10:30:00Z")
    assert outcome(client_of(dana), entry)["status"] == "recorded"
    assert counts() == [1, 0, 2, 1]
    assert Visit.objects.filter(customer=visit.customer, captured_by=dana).count() == 1
    assert Customer.objects.get().owner is None


def test_visit_of_the_same_moment_is_refused_with_the_reason(dana, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)

    refused = outcome(client_of(dana), of_known(visit.customer, exhibition))

    assert [error["detail"] for error in refused["errors"]] == ["This visit is already recorded."]
    assert counts() == [1, 0, 1, 0]


def test_entry_of_a_visit_that_was_deleted_does_not_come_back(dana, exhibition, client_of):
    client, entry = client_of(dana), entry_of(exhibition)
    send(client, entry)
    Visit.objects.all().delete()

    assert outcome(client, entry)["status"] == "known"
    assert counts() == [1, 0, 0, 1]


@pytest.mark.parametrize("written", ["Nordlys Lighting", "NORDLYS LIGHTING"])
def test_company_name_is_case_insensitive(written, dana, exhibition, client_of):
    company = make_company()

    send(client_of(dana), entry_of(exhibition, new_customer={"family_name": "Haugen", "company": written}))

    assert Customer.objects.get().company == company


def test_company_with_an_ambiguous_name_is_the_one_with_only_a_name(dana, exhibition, client_of):
    make_company()
    make_company(domain="nordlys.other")
    person = {"family_name": "Haugen", "company": "Nordlys Lighting"}

    for _ in range(2):
        send(client_of(dana), entry_of(exhibition, client_uuid=str(uuid4()), new_customer=person))

    plain = Company.objects.get(domain="", country="")
    assert list(plain.customers.values_list("family_name", flat=True)) == ["Haugen", "Haugen"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"new_customer": {"family_name": "a" * 101}}, "new_customer.family_name"),
        ({"interests": ["a" * 61]}, "interests.0"),
        ({"customer": "me", "new_customer": {}}, "customer"),
    ],
)
def test_bad_value_is_refused_by_its_field_and_leaves_nothing(changes, field, dana, exhibition, client_of):
    refused = outcome(client_of(dana), entry_of(exhibition) | changes)

    assert (refused["status"], [error["field"] for error in refused["errors"]]) == ("refused", [field])
    assert counts() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("visited_at", "status"),
    [
        (lambda: timezone.now() + timedelta(hours=23), "recorded"),
        (lambda: timezone.now() + timedelta(hours=25), "refused"),
        (lambda: timezone.now() - timedelta(days=400), "recorded"),
        (lambda: datetime(1969, 12, 31, tzinfo=UTC), "refused"),
    ],
)
def test_clock_of_the_phone_may_be_a_day_ahead_and_any_time_back(visited_at, status, dana, exhibition, client_of):
    moment = visited_at()
    assert outcome(client_of(dana), entry_of(exhibition, visited_at=moment.isoformat()))["status"] == status
    assert [visit.visited_at for visit in Visit.objects.all()] == ([moment] if status == "recorded" else [])


def test_search_tells_a_script_that_the_person_is_logged_out(charlie, client_of):
    assert Client().get(SEARCH, {"search": "haugen"}, secure=True).status_code == 401
    assert client_of(charlie).get(SEARCH, {"search": "haugen"}, secure=True).status_code == 403


def test_role_that_only_reads_gets_no_form(member_of, exhibition, client_of):
    assert client_of(member_of("Read-only", exhibition)).get(reverse("admin:capture"), secure=True).status_code == 403


def test_new_customer_needs_the_right_to_add_one(member_of, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)
    frida = member_of("Stand staff", exhibition)
    role = frida.groups.get()
    role.permissions.remove(role.permissions.get(codename="add_customer"))
    client = client_of(frida)

    refused = outcome(client, entry_of(exhibition))
    allowed = outcome(client, of_known(visit.customer, exhibition, visited_at="2026-03-11T10:30:00Z"))

    assert [one["status"] for one in (refused, allowed)] == ["refused", "recorded"]


def test_new_company_needs_the_right_to_add_one(member_of, exhibition, client_of):
    company, gina = make_company(), member_of("Stand staff", exhibition)
    role = gina.groups.get()
    role.permissions.remove(role.permissions.get(codename="add_company"))

    def of(name):
        return outcome(client_of(gina), entry_of(exhibition, new_customer={"family_name": "Haugen", "company": name}))

    assert [error["field"] for error in of("Unknown")["errors"]] == ["company"]
    assert of(company.name)["status"] == "recorded"


def test_entry_requires_the_csrf_token_of_the_page(dana, alice, exhibition):
    client = Client(enforce_csrf_checks=True)
    client.force_login(dana)
    page = client.get(reverse("admin:capture"), secure=True).text
    headers = {
        "Referer": "https://testserver/",
        "X-CSRFToken": re.findall(r'csrfmiddlewaretoken" value="(\w+)', page)[-1],
    }

    def send_from_page(client):
        body = {"entries": [entry_of(exhibition)]}
        return client.post(reverse("api_capture"), body, "application/json", secure=True, headers=headers).status_code

    assert send(client, entry_of(exhibition)).status_code == 403
    other = Client(enforce_csrf_checks=True)
    other.force_login(alice)
    other.get(reverse("admin:capture"), secure=True)
    assert send_from_page(other) == 403
    assert counts() == [0, 0, 0, 0]
    assert send_from_page(client) == 200


def test_search_finds_at_most_eight_visible_customers(dana, exhibition, client_of):
    company = make_company()
    for number in range(10):
        customer = make_customer(email=f"{number}@nordlys.example", company=company, job_title="Buyer")
        make_visit(exhibition=exhibition, customer=customer)
    make_customer(family_name="Haugen", given_name="Elsewhere", email="")

    hits = search(dana, "haugen nord")

    newest = Customer.objects.filter(given_name="Ingrid")[0]
    assert len(hits) == 8
    assert hits[0] == hit(newest, job_title="Buyer", company="Nordlys Lighting")
    assert {hit["name"] for hit in hits} == {"Ingrid Haugen"}


@pytest.mark.parametrize(("text", "status"), [("", 400), ("\0", 400), ("%", 200), ("a" * 5000, 200)])
def test_search_with_nonsense_finds_nothing(text, status, alice, client_of):
    make_customer()

    response = client_of(alice).get(SEARCH, {"search": text}, secure=True)

    assert (response.status_code, response.json().get("customers", [])) == (status, [])


# Customers of other stands.


@pytest.fixture
def stranger():
    """Met at another stand."""
    customer = make_customer(
        company=make_company(name="Nordlys Lighting, A/S"),
        phone="+47 22 12 34 56",
        job_title="Buyer",
        notes="Difficult.",
    )
    make_visit(customer=customer, exhibition=make_exhibition(edition="2025"), note="Wants a quote.")
    return customer


@pytest.mark.parametrize(
    "text",
    [
        "Ingrid@Nordlys.example",
        "+47 22 12 34 56",
        "0047 (22) 123456",
        "Ingrid Haugen Nordlys Lighting A/S",
        "haugen, ingrid, nordlys lighting, a/s",
    ],
)
def test_customer_of_another_stand_who_identifies_themselves_is_found(text, dana, stranger):
    assert search(dana, text) == [hit(stranger, company="Nordlys Lighting, A/S")]


@pytest.mark.parametrize(
    "text",
    [
        "Ingrid",
        "Ingrid Haugen",
        "Ingrid Haugen Nordlys",
        "Ingrid Haug Nordlys Lighting A/S",
        "Ingrid Haugen Fjord Kraft",
        "Haugen Nordlys Lighting A/S",
        "Nordlys Lighting, A/S",
        "ingrid@nordlys",
        "nordlys.example",
        "+47 22 12 34 5",
        "22 12 34 56",
        "Buyer",
        "%",
    ],
)
def test_customer_of_another_stand_is_not_found_by_a_part(text, dana, stranger):
    assert search(dana, text) == []


def test_stranger_without_a_name_or_in_the_archive_gives_nothing_away(dana):
    unnamed = make_customer(given_name="", family_name="", phone="+47 22 12 34 56", company=None)
    make_customer(email="gone@nordlys.example", archived_at=timezone.now())

    assert search(dana, "+47 22123456") == [hit(unnamed, name="+47 22123456")]
    assert search(dana, "gone@nordlys.example") == []


def test_captured_visit_gives_sight_of_the_customer(dana, exhibition, stranger, client_of):
    client, page = client_of(dana), reverse("admin:customers_customer_change", args=[stranger.pk])
    before = client.get(page, secure=True).status_code

    recorded = outcome(client, of_known(stranger, exhibition))

    assert (before, recorded["status"], client.get(page, secure=True).status_code) == (302, "recorded", 200)
    assert search(dana, "ingrid") == [hit(stranger, job_title="Buyer", company="Nordlys Lighting, A/S")]
    assert [visit.exhibition for visit in Visit.objects.visible_to(dana)] == [exhibition]


def test_stranger_gets_no_visit_outside_of_capture_or_at_another_stand(dana, exhibition, stranger, client_of):
    elsewhere = stranger.visits.get().exhibition
    visit = {"customer": str(stranger.public_id), "exhibition": str(exhibition.public_id)}

    direct = client_of(dana).post(reverse("visit-list"), visit, content_type="application/json", secure=True)

    assert [error["field"] for error in direct.json()["errors"]] == ["customer"]
    assert [error["field"] for error in outcome(client_of(dana), of_known(stranger, elsewhere))["errors"]] == [
        "exhibition"
    ]
    assert Visit.objects.count() == 1


def test_role_that_may_not_capture_finds_no_strangers(dana, stranger):
    role = dana.groups.get()
    role.permissions.remove(role.permissions.get(codename="add_visit"))

    assert search(dana, stranger.email) == []


def test_guesses_are_limited_per_person(dana, alice, stranger, client_of, settings):
    settings.API_RATE_PER_TOKEN = 2
    guesses = [client_of(dana).get(SEARCH, {"search": f"{n}@x.example"}, secure=True).status_code for n in range(3)]

    assert guesses == [200, 200, 429]
    assert client_of(alice).get(SEARCH, {"search": "a"}, secure=True).status_code == 200


def test_form_offers_the_exhibitions_of_the_stand_and_starts_with_the_open_one(dana, exhibition, client_of):
    today = timezone.localdate()
    now_open = make_exhibition(edition="now", starts_on=today - timedelta(1), ends_on=today + timedelta(1))
    make_exhibition(edition="not ours")
    dana.exhibitions.add(now_open)

    response = client_of(dana).get(reverse("admin:capture"), secure=True)

    assert list(response.context["exhibitions"]) == [now_open, exhibition]
    assert response.context["open"] == now_open
    assert f'<option value="{now_open.public_id}" data-zone="Europe/Berlin" selected>' in response.text


def test_suggestions_without_a_text_are_refused(dana, client_of):
    response = client_of(dana).get(SEARCH, secure=True)

    assert (response.status_code, response.json()["errors"]) == (
        400,
        [{"field": "search", "code": "required", "detail": "This parameter is required."}],
    )
