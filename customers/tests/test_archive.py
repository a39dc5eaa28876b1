import pytest
from django.urls import reverse

from customers.models import Customer, Tag
from customers.tests.factories import make_customer, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

LIST = "admin:customers_customer_changelist"


def rows_of(response) -> list[str]:
    return sorted(str(row) for row in response.context["cl"].result_list)


def run_action(client, action: str, **form: str):
    """Sends the action for every row of the list, as «Select all» does."""
    selected = {"action": action, "_selected_action": ["0"], "select_across": "1"}
    return client.post(reverse(LIST) + "?archived=all", selected | form, secure=True, follow=True)


def get_messages(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("", ["Here"]), ("no", ["Here"]), ("yes", ["Gone"]), ("all", ["Gone", "Here"]), ("nonsense", ["Here"])],
)
def test_archived_customer_is_only_in_the_archive(choice, expected, alice, client_of):
    make_customer(given_name="Here", family_name="")
    gone = make_customer(given_name="Gone", family_name="")
    client_of(alice).post(reverse("admin:customers_customer_archive", args=[gone.pk]), secure=True)

    response = client_of(alice).get(reverse(LIST), {"archived": choice} if choice else {}, secure=True)

    assert rows_of(response) == expected


def test_archived_customer_is_restored_with_all_visits(alice, client_of):
    visit = make_visit()
    page = reverse("admin:customers_customer_archive", args=[visit.customer_id])

    responses = [client_of(alice).post(page, secure=True, follow=True) for _ in range(2)]

    assert [get_messages(response) for response in responses] == [
        ["Ingrid Haugen was archived, with all visits and follow-ups."],
        ["Ingrid Haugen was restored from the archive."],
    ]
    customer = Customer.objects.current().get()
    assert list(customer.visits.all()) == [visit]


@pytest.mark.parametrize("make_history", [make_visit, make_follow_up])
def test_customer_with_history_cannot_be_deleted(make_history, alice, client_of):
    customer = make_history().customer

    response = client_of(alice).post(
        reverse("admin:customers_customer_delete", args=[customer.pk]), {"post": "yes"}, secure=True
    )

    assert (response.status_code, Customer.objects.count()) == (403, 1)


def test_customer_without_history_can_be_deleted(alice, client_of):
    customer = make_customer()

    client_of(alice).post(reverse("admin:customers_customer_delete", args=[customer.pk]), {"post": "yes"}, secure=True)

    assert Customer.objects.count() == 0


def test_action_archives_and_restores_every_row(bob, client_of):
    for number in range(3):
        make_customer(email=f"{number}@nordlys.example")
    client = client_of(bob)

    archived, again, back = (run_action(client, action) for action in ("archive", "archive", "unarchive"))

    assert [get_messages(archived), get_messages(again), get_messages(back)] == [
        ["3 customers were changed."],
        ["0 customers were changed."],
        ["3 customers were changed."],
    ]
    assert Customer.objects.current().count() == 3


def test_action_assigns_every_row(alice, bob, client_of):
    for owner in (None, alice, bob):
        make_customer(email="", owner=owner)

    assert get_messages(run_action(client_of(bob), "assign_to_me")) == ["2 customers were changed."]
    assert Customer.objects.owned_by(bob).count() == 3


def test_tag_is_added_and_removed_by_action(bob, client_of):
    tag, client = Tag.objects.create(name="VIP"), client_of(bob)
    make_customer().tags.add(tag)
    make_customer(email="")

    responses = [run_action(client, action, tag=str(tag.pk)) for action in ("add_tag", "add_tag", "remove_tag")]

    assert [get_messages(response) for response in responses] == [
        ["1 customer was changed."],
        ["0 customers were changed."],
        ["2 customers were changed."],
    ]
    assert tag.customers.count() == 0


def test_action_without_a_tag_says_what_is_missing(bob, client_of):
    make_customer()

    assert get_messages(run_action(client_of(bob), "add_tag")) == ["Choose a tag next to the action."]


def test_list_narrows_to_a_tag(bob, client_of):
    tag = Tag.objects.create(name="VIP")
    make_customer().tags.add(tag)
    make_customer(given_name="Jonas", email="")

    assert rows_of(client_of(bob).get(reverse(LIST), {"tag": tag.pk}, secure=True)) == ["Ingrid Haugen"]


def test_tag_name_is_unique_ignoring_case(bob, client_of):
    Tag.objects.create(name="VIP")

    response = client_of(bob).post(reverse("admin:customers_tag_add"), {"name": "vip"}, secure=True)

    assert response.context["adminform"].errors == {"__all__": ["This tag already exists."]}
