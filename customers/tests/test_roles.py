"""Each role on each page: what is allowed and what is refused."""

from io import BytesIO

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from customers.models import Customer, FollowUp, Tag, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

ROLES = ("Administrator", "Manager", "Stand staff", "Read-only")
DOMAIN = ("company", "customer", "exhibition", "followup", "tag", "visit")
EVERYBODY = set(ROLES)
EDITORS = EVERYBODY - {"Read-only"}
MANAGERS = {"Administrator", "Manager"}

# Who opens which page.
CHANGE_LISTS = dict.fromkeys(DOMAIN, EVERYBODY) | {"accounts_user": EVERYBODY, "auth_group": {"Administrator"}}
ADD_PAGES = {
    "company": EDITORS,
    "customer": EDITORS,
    "followup": EDITORS,
    "visit": EDITORS,
    "exhibition": MANAGERS,
    "tag": MANAGERS,
    "accounts_user": {"Administrator"},
    "auth_group": set(),
}
# Who may save a change, and who may delete.
CHANGES = {
    "customer": EDITORS,
    "followup": EDITORS,
    "visit": EDITORS,
    "company": MANAGERS,
    "exhibition": MANAGERS,
    "tag": MANAGERS,
}
DELETIONS = dict.fromkeys(DOMAIN, MANAGERS) | {"exhibition": {"Administrator"}}


def page(model: str, kind: str, *arguments: object) -> str:
    name = model if "_" in model else f"customers_{model}"
    return reverse(f"admin:{name}_{kind}", args=arguments)


@pytest.fixture
def lonely() -> dict[str, object]:
    """One of each kind that nothing points to, and nobody is assigned to."""
    return {
        "customer": make_customer(email="alone@example.com"),
        "company": make_company(domain="alone.example"),
        "exhibition": make_exhibition(edition="2030"),
        "visit": make_visit(
            customer=make_customer(email="visitor@example.com"), exhibition=make_exhibition(edition="2031")
        ),
        "followup": make_follow_up(customer=make_customer(email="caller@example.com")),
        "tag": Tag.objects.create(name="Alone"),
    }


def test_roles_are_made_by_a_migration():
    assert set(Group.objects.values_list("name", flat=True)) == EVERYBODY


def test_every_model_of_the_admin_can_be_viewed_by_a_role():
    granted = set(Permission.objects.filter(group__isnull=False).values_list("codename", flat=True))

    missing = [model.__name__ for model in admin.site._registry if f"view_{model._meta.model_name}" not in granted]
    assert missing == [], "Their migration grants roles permissions, as customers/migrations/0001_initial.py"


@pytest.mark.parametrize("role", ROLES)
def test_role_opens_its_lists_and_no_others(role, exhibition, member_of, client_of):
    client = client_of(member_of(role, exhibition))

    opened = {model for model in CHANGE_LISTS if client.get(page(model, "changelist"), secure=True).status_code == 200}

    assert opened == {model for model, roles in CHANGE_LISTS.items() if role in roles}


@pytest.mark.parametrize("role", ROLES)
def test_role_opens_its_add_pages_and_no_others(role, exhibition, member_of, client_of):
    client = client_of(member_of(role, exhibition))

    answers = {model: client.get(page(model, "add"), secure=True).status_code for model in ADD_PAGES}

    assert answers == {model: 200 if role in roles else 403 for model, roles in ADD_PAGES.items()}


@pytest.mark.parametrize("role", ROLES)
def test_role_sees_rows_of_its_exhibition_and_saves_what_it_may(role, rows, exhibition, member_of, client_of):
    client = client_of(member_of(role, exhibition))
    pages = {model: page(model, "change", row.pk) for model, row in rows.items()}

    seen = {model: client.get(address, secure=True).status_code for model, address in pages.items()}
    saved = {model: client.post(address, {}, secure=True).status_code for model, address in pages.items()}

    assert seen == dict.fromkeys(pages, 200)
    assert saved == {model: 200 if role in CHANGES[model] else 403 for model in pages}


@pytest.mark.parametrize("role", ROLES)
def test_role_deletes_only_with_the_permission(role, lonely, member_of, client_of):
    client = client_of(member_of(role))

    for model, row in lonely.items():
        client.post(page(model, "delete", row.pk), {"post": "yes"}, secure=True)

    gone = {model for model, row in lonely.items() if not type(row).objects.filter(pk=row.pk).exists()}
    assert gone == {model for model, roles in DELETIONS.items() if role in roles}


SCOPED = ("customer", "exhibition", "followup", "visit")


@pytest.mark.parametrize("model", SCOPED)
@pytest.mark.parametrize("kind", ["change", "delete", "history"])
def test_stand_staff_finds_no_row_of_another_exhibition(model, kind, lonely, exhibition, member_of, client_of):
    person = member_of("Stand staff", exhibition)

    response = client_of(person).get(page(model, kind, lonely[model].pk), secure=True)

    # Django leads from a row that is not there to the first page; what the role never may is refused before.
    refused = kind == "delete"
    assert (response.status_code, response.headers.get("Location")) == ((403, None) if refused else (302, "/admin/"))


@pytest.mark.parametrize("model", SCOPED)
def test_stand_staff_lists_only_the_own_exhibition(model, rows, lonely, exhibition, member_of, client_of):
    response = client_of(member_of("Stand staff", exhibition)).get(page(model, "changelist"), secure=True)

    assert list(response.context["cl"].result_list) == [rows[model]]


@pytest.mark.parametrize(("model", "action"), [("customer", "assign_to_me"), ("followup", "mark_done")])
def test_action_of_stand_staff_does_not_change_other_exhibitions(
    model, action, rows, lonely, exhibition, member_of, client_of
):
    selected = {"action": action, "_selected_action": [rows[model].pk, lonely[model].pk], "select_across": "1"}

    person = member_of("Stand staff", exhibition)
    client_of(person).post(page(model, "changelist"), selected, secure=True)

    done = Customer.objects.owned_by(person) if model == "customer" else FollowUp.objects.completed()
    assert list(done) == [rows[model]]


@pytest.mark.parametrize(("model", "action"), [("customer", "archive"), ("followup", "mark_done")])
def test_read_only_is_offered_no_action_and_can_force_none(model, action, rows, member_of, client_of):
    client = client_of(member_of("Read-only"))
    selected = {"action": action, "_selected_action": [rows[model].pk]}

    offered = client.get(page(model, "changelist"), secure=True).context["action_form"]
    client.post(page(model, "changelist"), selected, secure=True)

    assert (offered, Customer.objects.archived().count(), FollowUp.objects.completed().count()) == (None, 0, 0)


def test_button_of_a_row_obeys_the_role(rows, lonely, exhibition, member_of, client_of):
    asked = [("Stand staff", rows), ("Stand staff", lonely), ("Read-only", rows)]

    for role, some in asked:
        client_of(member_of(role, exhibition)).post(page("followup", "done", some["followup"].pk), secure=True)

    assert list(FollowUp.objects.completed()) == [rows["followup"]]


@pytest.mark.parametrize(
    "archive",
    [
        lambda client, one: client.post(page("customer", "archive", one.pk), secure=True),
        lambda client, one: client.post(
            page("customer", "changelist"), {"action": "archive", "_selected_action": [one.pk]}, secure=True
        ),
        lambda client, one: client.patch(
            f"/api/v1/customers/{one.public_id}/", {"archived": True}, "application/json", secure=True
        ),
    ],
    ids=["button", "action", "api"],
)
def test_archiving_needs_a_permission_of_its_own(archive, rows, exhibition, member_of, client_of):
    archived = {}
    for role in ROLES:
        Customer.objects.update(archived_at=None)
        archive(client_of(member_of(role, exhibition)), rows["customer"])
        archived[role] = Customer.objects.archived().exists()

    assert archived == {"Administrator": True, "Manager": True, "Stand staff": False, "Read-only": False}


def test_stand_staff_saves_an_archived_customer_as_it_is(rows, exhibition, member_of, client_of):
    client = client_of(member_of("Stand staff", exhibition))
    address = f"/api/v1/customers/{rows['customer'].public_id}/"

    answers = [
        client.patch(address, {"archived": wanted, "job_title": "Buyer"}, "application/json", secure=True)
        for wanted in (False, True)
    ]

    assert [answer.status_code for answer in answers] == [200, 403]


def test_stand_staff_chooses_no_exhibition_or_customer_of_others(rows, lonely, exhibition, member_of, client_of):
    person = member_of("Stand staff", exhibition)
    form = {"customer": lonely["customer"].pk, "exhibition": lonely["exhibition"].pk}

    response = client_of(person).post(
        page("visit", "add"), form | {"visited_at_0": "2026-03-11", "visited_at_1": "10:00"}, secure=True
    )

    assert set(response.context["adminform"].errors) == {"customer", "exhibition"}
    assert Visit.objects.visible_to(person).count() == 1


@pytest.mark.parametrize("field", ["customer", "exhibition"])
def test_autocomplete_of_stand_staff_offers_the_own_exhibition(field, rows, lonely, exhibition, member_of, client_of):
    asked = {"app_label": "customers", "model_name": "visit", "field_name": field}

    response = client_of(member_of("Stand staff", exhibition)).get(reverse("admin:autocomplete"), asked, secure=True)

    assert [result["id"] for result in response.json()["results"]] == [str(rows[field].pk)]


@pytest.mark.parametrize(
    ("role", "expected"), [("Administrator", 200), ("Manager", 200), ("Stand staff", 403), ("Read-only", 403)]
)
def test_export_requires_the_permission(role, expected, rows, exhibition, member_of, client_of):
    response = client_of(member_of(role, exhibition)).get(page("customer", "export"), {"format": "csv"}, secure=True)

    assert response.status_code == expected


def test_photo_requires_access_to_the_customer(rows, exhibition, member_of, client_of, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    pixels = BytesIO()
    Image.new("RGB", (2, 2)).save(pixels, "JPEG")
    customer = rows["customer"]
    customer.photo.save("badge.jpg", SimpleUploadedFile("badge.jpg", pixels.getvalue()))
    other = make_exhibition(edition="2032")
    people = {role: member_of(role, exhibition) for role in ROLES} | {"other": member_of("Stand staff", other)}

    responses = {name: client_of(person).get(customer.photo.url, secure=True) for name, person in people.items()}
    for response in responses.values():
        response.close()
    answers = {name: response.status_code for name, response in responses.items()}
    assert answers == dict.fromkeys(ROLES, 200) | {"other": 404}


def test_administrator_gives_roles_and_makes_no_superuser(member_of, charlie, client_of):
    form = {"email": charlie.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    role = Group.objects.get(name="Manager")

    client_of(member_of("Administrator")).post(
        page("accounts_user", "change", charlie.pk), form | {"groups": [role.pk], "user_permissions": [1]}, secure=True
    )

    charlie.refresh_from_db()
    assert (charlie.is_superuser, list(charlie.groups.all()), charlie.user_permissions.count()) == (False, [role], 0)


def test_administrator_does_not_touch_a_superuser(member_of, alice, client_of):
    client = client_of(member_of("Administrator"))
    form = {
        "email": "mine@example.com",
        "is_active": "on",
        "password1": "a new long word",
        "password2": "a new long word",
    }

    answers = [
        client.post(address, form, secure=True).status_code
        for address in (
            page("accounts_user", "change", alice.pk),
            reverse("admin:auth_user_password_change", args=[alice.pk]),
            page("accounts_user", "delete", alice.pk),
        )
    ]

    alice.refresh_from_db()
    assert (answers, alice.email, alice.check_password("a new long word")) == ([403] * 3, "alice@example.com", False)


def test_colleague_sees_only_name_and_address(member_of, alice, client_of):
    response = client_of(member_of("Stand staff")).get(page("accounts_user", "change", alice.pk), secure=True)

    shown = [name for _, options in response.context["adminform"].fieldsets for name in options["fields"]]
    assert shown == ["email", "name", "is_active"]
