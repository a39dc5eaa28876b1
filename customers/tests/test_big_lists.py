"""Each list meets the requirements of BigTableAdmin."""

import pytest
from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import result_headers
from django.urls import reverse

from core_apps.big_lists.admin import BigTableAdmin
from customers.models import Customer, Download, FileImport, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db
ADMINS = [one for one in admin.site._registry.values() if isinstance(one, BigTableAdmin)]
EACH = pytest.mark.parametrize("big", ADMINS, ids=lambda one: one.opts.model_name)


def columns(model, ordering) -> list[str]:
    return [name.removeprefix("-").replace("pk", model._meta.pk.name) for name in ordering]


def test_every_model_of_the_domain_has_a_big_list():
    ours = {model for model in admin.site._registry if model._meta.app_label == "customers"}

    # Those of a person are few, and deleted after a while.
    assert ours - {Download, FileImport} <= {one.model for one in ADMINS}


@EACH
def test_every_sorting_is_one_that_keyset_pages_can_follow(big):
    assert big.list_sorting
    for ordering in big.list_sorting.values():
        assert not any(big.opts.get_field(name).null for name in columns(big.model, ordering))
        assert ordering[-1].removeprefix("-") == "pk"
        assert len({name.startswith("-") for name in ordering}) == 1


@EACH
def test_every_sorting_is_offered_by_a_header(big, rf, alice):
    request = rf.get("/")
    request.user = alice
    changes = big.get_changelist_instance(request)

    headers = list(result_headers(changes))
    for column in big.list_sorting:
        assert headers[changes.list_display.index(column)]["sortable"]


@EACH
def test_every_relation_is_chosen_by_autocomplete(big, rf, alice):
    request = rf.get("/")
    request.user = alice
    relations = {field.name for field in (*big.opts.fields, *big.opts.many_to_many) if field.remote_field}

    assert relations <= set(big.get_autocomplete_fields(request))
    for form_field in big.get_form(request)().fields.values():
        assert len(list(getattr(form_field.widget, "choices", []))) < 600  # countries and time zones have hundreds


@EACH
def test_list_shows_no_columns_that_cost_a_query_each(big):
    assert big.list_editable == ()
    assert big.date_hierarchy is None


def test_lists_that_other_pages_link_to_are_narrowed(alice, client_of):
    visit = make_visit(customer=make_customer(company=make_company()))
    follow_up = make_follow_up(visit=visit)
    make_follow_up(visit=make_visit(customer=make_customer(email="else@x.example"), exhibition=visit.exhibition))
    client, key, company = client_of(alice), visit.customer_id, visit.customer.company_id

    assert rows(client, f"/admin/customers/visit/?customer__id__exact={key}") == [visit]
    assert rows(client, f"/admin/customers/followup/?customer__id__exact={key}&state=all") == [follow_up]
    assert rows(client, f"/admin/customers/customer/?company__id__exact={company}") == [visit.customer]


# What a person may not see.


@pytest.fixture
def two_fairs(member_of):
    """Somebody who works at the first of two exhibitions, and a visit at each."""
    mine, other = make_exhibition(), make_exhibition(edition="2027")
    hers = make_visit(exhibition=mine)
    others = make_visit(exhibition=other, customer=make_customer(email="else@nordlys.example"))
    return member_of("Stand staff", mine), hers, others


def rows(client, address: str) -> list[object]:
    return list(client.get(address, secure=True).context["cl"].result_list)


def test_lists_show_rows_of_ones_own_exhibitions(two_fairs, client_of):
    person, hers, _ = two_fairs
    client = client_of(person)

    assert rows(client, "/admin/customers/customer/") == [hers.customer]
    assert rows(client, "/admin/customers/visit/") == [hers]
    assert rows(client, "/admin/customers/visit/?q=haugen") == [hers]
    assert rows(client, "/admin/customers/exhibition/") == [hers.exhibition]


@pytest.mark.parametrize("view", ["change", "history"])
def test_row_of_another_exhibition_is_not_found(view, two_fairs, client_of):
    person, hers, others = two_fairs
    client = client_of(person)
    addresses = [reverse(f"admin:customers_visit_{view}", args=[visit.pk]) for visit in (hers, others)]

    assert [client.get(address, secure=True).status_code for address in addresses] == [200, 302]


@pytest.mark.parametrize("name", ["customer", "exhibition"])
def test_choice_of_a_row_that_one_may_not_see_is_refused(name, two_fairs, client_of):
    person, hers, others = two_fairs
    form = {"customer": hers.customer_id, "exhibition": hers.exhibition_id, "visited_at_0": "2026-03-12"}
    form |= {"visited_at_1": "10:00", "grade": "A", name: getattr(others, f"{name}_id")}

    response = client_of(person).post(reverse("admin:customers_visit_add"), form, secure=True)

    assert list(response.context["adminform"].errors) == [name]
    assert Visit.objects.count() == 2


def test_autocomplete_tells_namesakes_apart(alice, client_of):
    company = make_company()
    for number in range(2):
        make_customer(given_name="Anna", family_name="König", email=f"anna{number}@nordlys.example", company=company)
    address = "/admin/autocomplete/?app_label=customers&model_name=visit&field_name=customer&term=König, Anna"

    suggestions = client_of(alice).get(address, secure=True).json()["results"]

    assert sorted(suggestion["text"] for suggestion in suggestions) == [
        f"Anna König (Nordlys Lighting, anna{number}@nordlys.example)" for number in range(2)
    ]


def test_autocomplete_offers_only_visible_rows(two_fairs, client_of):
    person, hers, _ = two_fairs
    address = "/admin/autocomplete/?app_label=customers&model_name=visit&field_name=customer&term=haugen"

    found = client_of(person).get(address, secure=True).json()["results"]

    assert [int(one["id"]) for one in found] == [hers.customer_id]


def test_action_on_all_leaves_rows_that_one_may_not_see(two_fairs, client_of):
    person, hers, others = two_fairs
    choice = {"action": "assign_to_me", "select_across": "1", "index": "0", "_selected_action": others.customer_id}

    client_of(person).post("/admin/customers/customer/", choice, secure=True)

    assert list(Customer.objects.filter(owner=person)) == [hers.customer]
