"""Two users in the same admin form."""

import re

import pytest
from django.urls import reverse

from customers.models import Customer
from customers.services.customers import archive_customers
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    return make_customer()


def address(customer: Customer) -> str:
    return reverse("admin:customers_customer_change", args=[customer.pk])


def read_form(client, customer: Customer) -> dict[str, str]:
    """The data that the form of the page would send."""
    html = client.get(address(customer), secure=True).content.decode()
    version = re.search(r'<input type="hidden" name="version" value="([0-9a-f]+)"', html)
    assert version
    return {"family_name": "Haugen", "stage": "lead", "source": "stand", "version": version[1]}


def test_form_without_concurrent_change_is_saved(bob, client_of, customer):
    client = client_of(bob)
    data = read_form(client, customer)

    answer = client.post(address(customer), data | {"job_title": "Buyer"}, secure=True)

    assert answer.status_code == 302
    customer.refresh_from_db()
    assert customer.job_title == "Buyer"


def test_form_is_refused_after_another_person_has_saved(alice, bob, client_of, customer):
    client, other = client_of(bob), client_of(alice)
    data = read_form(client, customer)
    other.post(address(customer), read_form(other, customer) | {"job_title": "Director"}, secure=True)

    answer = client.post(address(customer), data | {"job_title": "Buyer", "notes": "Mine"}, secure=True)

    assert answer.status_code == 200
    (error,) = answer.context["adminform"].form.non_field_errors()
    assert re.fullmatch(
        r"Alice changed this on .+\. Your changes were not saved\. Reload the page and apply them again\.", error
    )
    customer.refresh_from_db()
    assert (customer.job_title, customer.notes) == ("Director", "")


def test_form_is_refused_after_a_service_has_written(bob, client_of, customer):
    client = client_of(bob)
    data = read_form(client, customer)
    archive_customers(Customer.objects.filter(pk=customer.pk))

    answer = client.post(address(customer), data | {"job_title": "Buyer"}, secure=True)

    (error,) = answer.context["adminform"].form.non_field_errors()
    assert error.startswith("This was changed on ")
    customer.refresh_from_db()
    assert customer.job_title == ""


def test_form_to_add_has_no_version(bob, client_of):
    page = client_of(bob).get(reverse("admin:customers_customer_add"), secure=True)

    assert b'name="version"' not in page.content


def test_page_of_a_reader_has_no_version(member_of, client_of, customer):
    page = client_of(member_of("Read-only")).get(address(customer), secure=True)

    assert page.status_code == 200
    assert b'name="version"' not in page.content
