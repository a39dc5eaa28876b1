import pytest

from core_apps.accounts.models import User
from core_apps.big_lists.checks import check_sorting
from customers.models import Customer


@pytest.mark.parametrize(
    "ordering", [("-created_at", "-pk"), ("created_at", "pk"), ("family_name", "given_name", "pk"), ("family_name",)]
)
def test_order_that_an_index_has_is_accepted(ordering):
    assert list(check_sorting(Customer, {"some": ordering}, "CustomerAdmin")) == []


@pytest.mark.parametrize(
    ("model", "ordering"),
    [
        (Customer, ("given_name", "pk")),
        (Customer, ("created_at", "-pk")),
        (Customer, ("email", "pk")),  # its index leaves out those without an address
        (User, ("name", "pk")),
    ],
)
def test_order_that_no_index_has_is_refused(model, ordering):
    (error,) = check_sorting(model, {"some": ordering}, "SomeAdmin")

    assert error.id == "big_lists.E001"
    assert error.msg.startswith("SomeAdmin sorts by some, but no index starts with the columns ")
    assert f"Add models.Index(fields=('{ordering[0]}', '" in str(error.hint)
