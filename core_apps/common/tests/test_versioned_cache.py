import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache

from core_apps.common.versioned_cache import answer, bump, key_of, remembered


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


class Counted:
    """Computes the names of all groups, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return ",".join(Group.objects.order_by("name").values_list("name", flat=True)).encode()


@pytest.fixture
def names() -> Counted:
    return Counted()


@pytest.mark.django_db(transaction=True)
def test_answer_asked_again_is_not_computed_again(names, django_assert_num_queries):
    first = answer("names", names)

    with django_assert_num_queries(0):
        assert answer("names", names) == first
    assert names.times == 1


@pytest.mark.django_db(transaction=True)
def test_answer_after_a_write_is_new(names):
    answer("names", names)
    Group.objects.create(name="Zebra")

    assert answer("names", names).endswith(b"Zebra")
    Group.objects.filter(name="Zebra").update(name="Zoo")
    assert answer("names", names).endswith(b"Zoo")


@pytest.mark.django_db(transaction=True)
def test_remembered_value_is_json():
    assert [remembered("who", lambda: {"pk": 7}) for _ in range(2)] == [{"pk": 7}] * 2
    bump()
    assert remembered("who", lambda: None) is None


@pytest.mark.django_db
def test_answer_in_a_transaction_is_computed(names):
    assert [answer("names", names), answer("names", names)]
    assert names.times == 2


def test_key_tells_nothing_and_differs_by_part():
    assert len({key_of("a", "bc"), key_of("ab", "c"), key_of("abc")}) == 3
    assert "secret" not in key_of("secret")
