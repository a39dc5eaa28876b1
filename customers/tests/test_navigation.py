"""The links between the pages."""

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

DOMAIN = ["companies", "customers", "downloads", "exhibitions", "follow-ups", "imports", "tags", "visits"]
MESSAGES = ["campaigns", "consents", "messages", "wordings of consents"]


def page_of(client, name: str, *arguments) -> str:
    text: str = client.get(reverse(f"admin:{name}", args=arguments), secure=True).content.decode()
    return text


def find_links(page: str, start: str, end: str) -> dict[str, str]:
    """Return the links of a part of the page: text and address."""
    part = page.partition(start)[2].partition(end)[0]
    return {text.lower(): address for address, text in re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', part)}


def rows_of(client, address: str) -> list[Any]:
    return list(client.get(address, secure=True).context["cl"].result_list)


def tools_of(client, name: str, row) -> dict[str, str]:
    return find_links(page_of(client, name, row.pk), '<ul class="object-tools">', "</ul>")


@pytest.mark.parametrize("name", ["index", "capture", "customers_visit_changelist", "customers_tag_add", "settings"])
def test_every_page_links_to_each_list_that_the_person_may_see(name, alice, bob, client_of):
    lists = [[*find_links(page_of(client_of(user), name), 'id="lists"', "</nav>")] for user in (alice, bob)]

    of_both = [*DOMAIN, "api tokens", "users"]
    of_alice = ["groups", "background tasks", *MESSAGES, "webhook deliveries", "webhooks"]
    assert lists == [[*of_both, *of_alice], [*of_both, *MESSAGES]]


def test_company_and_exhibition_link_to_their_customers_and_visits(alice, client_of):
    client, visit = client_of(alice), make_visit(customer=make_customer(company=make_company()))
    make_visit(customer=make_customer(email="else@x.example"), exhibition=make_exhibition(edition="2027"))
    company = tools_of(client, "customers_company_change", visit.customer.company)
    exhibition = tools_of(client, "customers_exhibition_change", visit.exhibition)

    assert rows_of(client, company["customers"]) == [visit.customer]
    assert rows_of(client, exhibition["visits"]) == [visit]
    assert rows_of(client, exhibition["customers"]) == [visit.customer]


@pytest.mark.parametrize("page", ["customer", "followup"])
def test_customer_is_called_or_written_to_by_a_link(page, alice, client_of):
    customer = make_customer(phone="020 7946 0321", country="GB", email="ann&co@nordlys.example")
    row = {"customer": customer, "followup": make_follow_up(customer=customer)}[page]

    links = tools_of(client_of(alice), f"customers_{page}_change", row)

    assert links["call 020 7946 0321"] == "tel:+442079460321"
    assert links["write an e-mail"] == "mailto:ann%26co@nordlys.example"


def test_numbers_of_the_dashboard_link_to_their_visits(alice, client_of):
    graded = make_visit(exhibition=make_exhibition(edition="2026"), grade="A")
    plain = make_visit(exhibition=graded.exhibition, grade="", customer=make_customer(email="else@x.example"))
    make_visit(exhibition=make_exhibition(edition="2027"), grade="A", customer=make_customer(email="third@x.example"))
    client = client_of(alice)
    page = client.get(f"/admin/?exhibition={graded.exhibition.pk}", secure=True).content.decode()

    links = re.findall(r'<a href="(/admin/customers/visit/[^"]*)">(\d+)</a>', page)

    found = [(rows_of(client, html.unescape(address)), number) for address, number in links]
    assert found == [([plain, graded], "2"), ([graded], "1"), ([plain], "1")]
