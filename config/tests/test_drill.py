"""What a drill reads from the list of customers; e2e/backups/test_restore_drill.py runs one."""

import pytest

from config.drill import PAGE, FailedError, customers_told_of
from customers.models import Customer
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("customers", [0, 1, 3, 60])
def test_number_is_that_of_all_customers_with_archived_ones(customers, alice, client_of):
    for number in range(customers):
        make_customer(email=f"{number}@nordlys.example")
    Customer.objects.filter(email="0@nordlys.example").update(archived_at="2026-01-01T00:00Z")

    assert customers_told_of(client_of(alice).get(PAGE, secure=True).text) == (customers, True)


def test_number_of_a_big_table_is_a_least_one():
    assert customers_told_of('<th class="field-name"> 10,000+ customers') == (10_000, False)


@pytest.mark.parametrize("page", ["", "5 customers", '0 customers <th class="field-name">'])
def test_page_that_contradicts_itself_is_refused(page):
    with pytest.raises(FailedError):
        customers_told_of(page)
