"""Each resource of the API: permissions, writes, errors and filters."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core_apps.accounts.models import User
from customers.models import Customer, FollowUp, Tag
from customers.services.customers import tag_customers, untag_customers
from customers.tests.api import Caller, caller_of, errors
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit
from customers.tests.test_roles import ADD_PAGES, CHANGES, DELETIONS, ROLES

pytestmark = pytest.mark.django_db

NOBODY = "00000000-0000-4000-8000-000000000000"
PATHS = {
    "company": "companies",
    "customer": "customers",
    "exhibition": "exhibitions",
    "followup": "follow-ups",
    "tag": "tags",
    "visit": "visits",
}


def url(kind, row=None):
    return f"/api/v1/{PATHS[kind]}/{row.public_id}/" if row else f"/api/v1/{PATHS[kind]}/"


@pytest.fixture
def new(rows):
    """What makes one more of each kind."""
    customer, exhibition = str(rows["customer"].public_id), str(rows["exhibition"].public_id)
    return {
        "company": {"name": "Fjord Kraft", "country": "NO"},
        "customer": {"given_name": "Nils"},
        "exhibition": {"name": "Boot", "edition": "2027", "starts_on": "2027-01-23", "ends_on": "2027-01-31"},
        "followup": {"customer": customer, "due_at": "2026-04-01T08:00:00Z"},
        "tag": {"name": "Press"},
        "visit": {"customer": customer, "exhibition": exhibition, "visited_at": "2026-03-11T14:00:00+01:00"},
    }


# Roles: those of the admin's own matrix.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
def test_role_reads_what_it_sees_in_the_admin(member_of, rows, exhibition, role, kind):
    client = caller_of(member_of(role, exhibition))

    listed, one = client.get(url(kind)), client.get(url(kind, rows[kind]))

    assert (listed.status_code, one.status_code) == (200, 200)
    assert [row["id"] for row in listed.json()["results"]] == [str(rows[kind].public_id)]
    assert one.json() == listed.json()["results"][0]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
def test_role_adds_what_it_adds_in_the_admin(member_of, new, rows, exhibition, role, kind):
    client = caller_of(member_of(role, exhibition))

    response = client.post(url(kind), new[kind])

    assert response.status_code == (201 if role in ADD_PAGES[kind] else 403)
    assert type(rows[kind])._default_manager.count() == (2 if role in ADD_PAGES[kind] else 1)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
def test_role_changes_what_it_changes_in_the_admin(member_of, rows, exhibition, role, kind):
    field = {"visit": "note", "followup": "note", "customer": "notes"}.get(kind, "name")
    client = caller_of(member_of(role, exhibition))

    response = client.patch(url(kind, rows[kind]), {field: "Otherwise"})

    rows[kind].refresh_from_db()
    is_allowed = role in CHANGES[kind]
    assert response.status_code == (200 if is_allowed else 403)
    assert (getattr(rows[kind], field) == "Otherwise") == is_allowed


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
def test_role_deletes_what_it_deletes_in_the_admin(member_of, exhibition, role, kind):
    lonely = {
        "company": lambda: make_company(),
        "customer": lambda: make_customer(),
        "exhibition": lambda: make_exhibition(edition="2030"),
        "followup": lambda: make_follow_up(),
        "tag": lambda: Tag.objects.create(name="Alone"),
        "visit": lambda: make_visit(exhibition=exhibition),
    }[kind]()
    member = member_of(role, *([exhibition, lonely] if kind == "exhibition" else [exhibition]))
    Customer.objects.update(owner=member)
    if kind == "followup":
        FollowUp.objects.update(assignee=member)

    response = caller_of(member).delete(url(kind, lonely))

    is_allowed = role in DELETIONS[kind]
    assert response.status_code == (204 if is_allowed else 403)
    assert type(lonely)._default_manager.filter(pk=lonely.pk).exists() != is_allowed


@pytest.mark.parametrize("kind", PATHS)
def test_nobody_reads_without_an_account(rows, kind):
    client = Caller()

    assert client.get(url(kind)).status_code == 401
    assert client.get(url(kind, rows[kind])).status_code == 401


@pytest.mark.parametrize("kind", ["customer", "exhibition", "followup", "visit"])
def test_stand_staff_of_another_exhibition_finds_nothing(member_of, rows, kind):
    client = caller_of(member_of("Stand staff", make_exhibition(edition="2031")))

    listed = client.get(url(kind)).json()["results"]
    changed = client.patch(url(kind, rows[kind]), {"note": "x"})

    assert str(rows[kind].public_id) not in [row["id"] for row in listed]
    assert client.get(url(kind, rows[kind])).status_code == 404
    assert changed.status_code == (403 if kind == "exhibition" else 404)


@pytest.mark.parametrize(("kind", "whose"), [("customer", "owner"), ("followup", "assignee")])
def test_new_row_belongs_to_its_creator_by_default(member_of, new, exhibition, kind, whose):
    member = member_of("Stand staff", exhibition)
    client = caller_of(member)
    sent = {name: value for name, value in new[kind].items() if name not in (whose, "visit")}

    created = client.post(url(kind), sent, headers={"Idempotency-Key": "1"})
    again = client.post(url(kind), sent, headers={"Idempotency-Key": "1"})
    nobodys = client.post(url(kind), sent | {whose: None})

    assert (created.json()[whose], client.get(created["Location"]).status_code) == (member.email, 200)
    assert (again.status_code, again["Location"]) == (201, created["Location"])
    assert (nobodys.json()[whose], client.get(nobodys["Location"]).status_code) == (None, 404)


def test_row_out_of_sight_cannot_be_pointed_to(member_of, rows, new):
    elsewhere = make_exhibition(edition="2031")
    client = caller_of(member_of("Stand staff", elsewhere))

    refused = client.post(url("visit"), new["visit"] | {"exhibition": str(elsewhere.public_id)})

    assert (refused.status_code, errors(refused)) == (400, [("customer", "does_not_exist")])


# What is written.


def test_customer_is_written_as_sent(bob):
    company = make_company()
    for name in ("VIP", "Press"):
        Tag.objects.create(name=name)
    sent = {
        "given_name": "Zoë",
        "family_name": "Ångström",
        "email": "zoe@example.com",
        "phone": "+49 89 1234567",
        "job_title": "Buyer",
        "company": str(company.public_id),
        "country": "DE",
        "stage": "prospect",
        "source": "website",
        "owner": "bob@example.com",
        "tags": ["Press", "VIP"],
        "notes": "Line one\nLine two",
    }

    response = caller_of(bob).post(url("customer"), sent)

    body = response.json()
    shown = {"full_name": "Zoë Ångström", "phone_e164": "+49891234567", "company_name": "Nordlys Lighting"}
    customer = Customer.objects.get()
    assert response.status_code == 201
    assert response["Location"].endswith(url("customer", customer))
    assert {name: body[name] for name in (*sent, *shown)} == sent | shown
    assert (customer.owner, customer.company, customer.tags.count()) == (bob, company, 2)


def test_patch_changes_only_what_is_sent(bob):
    customer = make_customer(job_title="Buyer", notes="Kept", owner=bob)
    customer.tags.add(Tag.objects.create(name="VIP"))

    response = caller_of(bob).patch(url("customer", customer), {"job_title": "Head"})

    body = response.json()
    customer.refresh_from_db()
    assert (response.status_code, customer.job_title, customer.notes) == (200, "Head", "Kept")
    assert (body["email"], body["owner"], body["tags"]) == ("ingrid@nordlys.example", "bob@example.com", ["VIP"])


def test_owner_company_and_tags_are_taken_away(bob):
    customer = make_customer(owner=bob, company=make_company())
    customer.tags.add(Tag.objects.create(name="VIP"))
    nothing: dict[str, Any] = {"owner": None, "company": None, "tags": []}

    response = caller_of(bob).patch(url("customer", customer), nothing)

    assert response.status_code == 200
    assert {name: response.json()[name] for name in nothing} == nothing


def test_customer_is_archived_and_comes_back(bob):
    client, customer = caller_of(bob), make_customer()

    for wanted in (True, False):
        response = client.patch(url("customer", customer), {"archived": wanted})
        customer.refresh_from_db()
        assert (response.json()["archived"], customer.archived_at is not None) == (wanted, wanted)


def test_visit_is_captured_by_whoever_adds_it(bob, new):
    response = caller_of(bob).post(url("visit"), new["visit"] | {"interests": ["LED", "Lasers"]})

    body = response.json()
    assert (body["captured_by"], body["interests"]) == ("bob@example.com", ["LED", "Lasers"])
    assert body["visited_at"] == "2026-03-11T14:00:00+01:00"


def test_outcome_completes_a_follow_up(bob):
    follow_up = make_follow_up()

    response = caller_of(bob).patch(url("followup", follow_up), {"outcome": "reached"})

    follow_up.refresh_from_db()
    assert response.status_code == 200
    assert follow_up.completed_at is not None
    assert response.json()["completed_at"] is not None


def test_tags_that_many_are_given_at_once_are_noticed_by_if_match(bob):
    caller, customer, tag = caller_of(bob), make_customer(), Tag.objects.create(name="VIP")
    everybody = Customer.objects.all()

    for write in (tag_customers, untag_customers):
        etag = caller.get(url("customer", customer))["ETag"]
        assert write(everybody, tag) == 1
        response = caller.patch(url("customer", customer), {"tags": []}, headers={"If-Match": etag})
        assert response.status_code == 412


# What is refused.


@pytest.mark.parametrize(
    ("kind", "sent", "refused"),
    [
        ("customer", {}, ("family_name", "invalid")),
        ("customer", {"given_name": "A" * 101}, ("given_name", "max_length")),
        ("customer", {"email": "nobody"}, ("email", "invalid")),
        ("customer", {"given_name": "A", "stage": "lost"}, ("stage", "invalid_choice")),
        ("customer", {"given_name": "A", "country": "XX"}, ("country", "invalid_choice")),
        ("customer", {"given_name": "A", "owner": "nobody@example.com"}, ("owner", "does_not_exist")),
        ("customer", {"given_name": "A", "owner": 7}, ("owner", "does_not_exist")),
        ("customer", {"given_name": "A", "company": NOBODY}, ("company", "does_not_exist")),
        ("customer", {"given_name": "A", "company": "7"}, ("company", "invalid")),
        ("customer", {"given_name": "A", "company": ""}, ("company", "invalid")),
        ("customer", {"given_name": "A", "owner": ""}, ("owner", "does_not_exist")),
        ("customer", {"given_name": "A", "tags": ["None such"]}, ("tags", "unknown")),
        ("customer", {"given_name": "A", "tags": "VIP"}, ("tags", "not_a_list")),
        ("customer", {"given_name": "A", "id": NOBODY}, ("id", "read_only")),
        ("customer", {"given_nme": "A"}, ("given_nme", "unknown")),
        ("company", {"name": "A", "domain": "no domain"}, ("domain", "invalid")),
        ("company", {"name": "A", "domain": "nordlys.example"}, ("domain", "unique")),
        ("exhibition", {"name": "A", "starts_on": "2027-01-02", "ends_on": "2027-01-01"}, (None, "invalid")),
        ("exhibition", {"name": "A", "starts_on": "2027-01-02"}, ("ends_on", "required")),
        (
            "exhibition",
            {"name": "A", "starts_on": "2027-01-02", "ends_on": "2027-01-03", "time_zone": "Mars"},
            ("time_zone", "invalid"),
        ),
        ("followup", {"due_at": "2026-04-01T08:00:00Z"}, ("customer", "required")),
        ("followup", {"due_at": "tomorrow"}, ("due_at", "invalid")),
        ("followup", {"due_at": "2026-04-01T08:00:00"}, ("due_at", "no_offset")),
        ("followup", {"due_at": "9999-12-31T23:59:59Z"}, ("due_at", "date_out_of_range")),
        ("visit", {"visited_at": "2126-03-11T09:30:00Z"}, ("visited_at", "date_out_of_range")),
        (
            "exhibition",
            {"name": "A", "starts_on": "0001-01-01", "ends_on": "2027-01-01"},
            ("starts_on", "date_out_of_range"),
        ),
        ("followup", {"visit": ""}, ("visit", "invalid")),
        ("followup", {"assignee": ""}, ("assignee", "does_not_exist")),
        ("tag", {"name": ""}, ("name", "blank")),
        ("tag", {"name": "vip"}, (None, "invalid")),
        ("visit", {"grade": "E"}, ("grade", "invalid_choice")),
    ],
)
def test_bad_input_is_refused_with_its_field(bob, rows, kind, sent, refused):
    response = caller_of(bob).post(url(kind), sent)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert refused in errors(response)
    assert type(rows[kind])._default_manager.count() == 1


def test_visit_of_another_customer_is_no_reason_for_a_follow_up(bob, new, rows):
    other = make_customer(email="other@example.com")

    response = caller_of(bob).post(
        url("followup"),
        new["followup"] | {"customer": str(other.public_id), "visit": str(rows["visit"].public_id)},
    )

    assert (response.status_code, errors(response)) == (400, [("visit", "invalid")])


def test_customer_with_a_history_is_not_deleted(bob, rows):
    response = caller_of(bob).delete(url("customer", rows["customer"]))

    assert response.status_code == 409
    assert "archive" in response.json()["detail"]
    assert Customer.objects.count() == 1


@pytest.mark.parametrize("kind", ["company", "exhibition"])
def test_row_that_others_need_is_not_deleted(alice, rows, kind):
    response = caller_of(alice).delete(url(kind, rows[kind]))

    assert response.status_code == 409
    assert type(rows[kind])._default_manager.count() == 1


# Lists.


@pytest.fixture
def two_customers(bob):
    first = make_customer(stage="lead", country="NO", company=make_company(), owner=bob)
    second = make_customer(given_name="Marta", family_name="Solberg", email="marta@example.com", stage="customer")
    first.tags.add(Tag.objects.create(name="VIP"))
    make_visit(customer=first, exhibition=make_exhibition())
    Customer.objects.filter(pk=second.pk).update(
        created_at=datetime(2020, 1, 1, tzinfo=UTC), archived_at=datetime(2024, 1, 1, tzinfo=UTC)
    )
    return first, second


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Haugen", "Solberg"]),
        ("stage=customer", ["Solberg"]),
        ("source=import", []),
        ("country=NO", ["Haugen"]),
        ("email=MARTA@example.com", ["Solberg"]),
        ("owner=bob@example.com", ["Haugen"]),
        ("tag=vip", ["Haugen"]),
        ("tag=none", []),
        ("archived=true", ["Solberg"]),
        ("archived=false", ["Haugen"]),
        ("created_before=2021-01-01T00:00:00Z", ["Solberg"]),
        ("created_after=2021-01-01T00:00:00Z", ["Haugen"]),
        ("search=solb", ["Solberg"]),
        ("search=ingrid+nordlys", ["Haugen"]),
        ("ordering=created_at", ["Solberg", "Haugen"]),
        ("ordering=-name", ["Solberg", "Haugen"]),
        (f"company={NOBODY}", []),
        (f"exhibition={NOBODY}", []),
    ],
)
def test_customers_are_narrowed_and_ordered(bob, two_customers, query, found):
    results = caller_of(bob).get(f"{url('customer')}?{query}").json()["results"]

    assert [row["family_name"] for row in results] == found


def test_customers_of_a_company_and_of_an_exhibition(bob, two_customers):
    client, (first, _second) = caller_of(bob), two_customers
    exhibition = first.visits.get().exhibition

    for query in (f"company={first.company.public_id}", f"exhibition={exhibition.public_id}"):
        results = client.get(f"{url('customer')}?{query}").json()["results"]
        assert [row["id"] for row in results] == [str(first.public_id)]


@pytest.mark.parametrize(
    ("kind", "query", "count"),
    [
        ("company", "country=NO", 1),
        ("company", "domain=NORDLYS.example", 1),
        ("company", "search=fjord", 0),
        ("exhibition", "open=true", 0),
        ("exhibition", "open=false", 1),
        ("exhibition", "starts_after=2026-03-10", 1),
        ("exhibition", "starts_before=2026-03-09", 0),
        ("visit", "grade=A", 1),
        ("visit", "grade=B", 0),
        ("visit", "visited_after=2026-03-11T10:00:00Z", 0),
        ("visit", "search=haugen", 1),
        ("followup", "completed=false", 1),
        ("followup", "completed=true", 0),
        ("followup", "unassigned=true", 1),
        ("followup", "assignee=bob@example.com", 0),
        ("followup", "due_before=2026-03-12T08:00:00Z", 0),
        ("followup", "priority=2", 1),
    ],
)
def test_lists_are_narrowed(bob, rows, kind, query, count):
    assert len(caller_of(bob).get(f"{url(kind)}?{query}").json()["results"]) == count


@pytest.mark.parametrize("kind", ["visit", "followup"])
def test_rows_of_a_customer(bob, rows, kind):
    client, customer = caller_of(bob), rows["customer"]

    assert len(client.get(f"{url(kind)}?customer={customer.public_id}").json()["results"]) == 1
    assert client.get(f"{url(kind)}?customer={NOBODY}").json()["results"] == []


@pytest.mark.parametrize(
    "query",
    [
        *(
            "stage=lost",
            "company=7",
            "archived=perhaps",
            "created_after=yesterday",
            "created_before=2026-03-11T09:30:00",
            "ordering=email",
            "search=",
        ),
        *("page_size=0", "page_size=101", "cursor=x", "fields=id,nothing", "nothing=1", "stage=lead&stage=customer"),
        *("search=%00", "email=%00"),
    ],
)
def test_bad_query_is_refused_with_its_parameter(bob, query):
    response = caller_of(bob).get(f"{url('customer')}?{query}")

    assert response.status_code == 400
    assert [field for field, _code in errors(response)] == [query.partition("=")[0]]


def query_count(client, path):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("kind", PATHS)
def test_list_takes_as_many_queries_for_three_rows(bob, kind):
    client = caller_of(bob)

    def add(number):
        exhibition = make_exhibition(edition=str(number))
        customer = make_customer(
            email=f"{number}@example.com", company=make_company(domain=f"{number}.example"), owner=bob
        )
        customer.tags.add(Tag.objects.create(name=f"Tag {number}"))
        make_follow_up(visit=make_visit(customer=customer, exhibition=exhibition, captured_by=bob), assignee=bob)

    add(1)
    with_one = query_count(client, url(kind))
    add(2)
    add(3)

    assert query_count(client, url(kind)) == with_one
    assert User.objects.count() == 1


def test_body_with_many_unknown_fields_names_the_first_hundred(bob):
    response = caller_of(bob).post(url("tag"), {f"x{number}": 1 for number in range(20_000)})

    assert response.status_code == 400
    assert (len(errors(response)), len(response.content) < 20_000) == (100, True)


@pytest.mark.parametrize("depth", [90, 900, 990, 5000, 90_000])
def test_body_nested_too_deeply_is_refused(bob, depth):
    for kind in ("tag", "visit"):
        body = '{"entries": ' + "[" * depth + "]" * depth + "}"
        address = f"{url('visit')}capture/" if kind == "visit" else url(kind)
        response = caller_of(bob).post(address, body, content_type="application/json")
        assert response.status_code == 400


@pytest.mark.parametrize("debug", [False, True])
def test_request_without_the_last_slash_is_repeated_with_it(debug, bob, settings):
    settings.DEBUG = debug
    caller = caller_of(bob)

    response = caller.post(f"{url('tag').rstrip('/')}?fields=name", {"name": "VIP"})

    assert (response.status_code, response["Location"]) == (308, f"{url('tag')}?fields=name")
    assert Tag.objects.count() == 0
