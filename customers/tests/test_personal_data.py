"""A copy for development: no column has personal data, everything else is unchanged."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management import CommandError, call_command
from django.db import connection

from core_apps.accounts.models import User
from customers.models import Company, Customer, Tag, Visit
from customers.personal_data import REPLACED_COLUMNS, UNCHANGED_COLUMNS, UnclassifiedError, replace_personal_data
from customers.tests.factories import make_company, make_customer, make_follow_up, make_visit

# VACUUM cannot run within the transaction that an ordinary test is.
pytestmark = pytest.mark.django_db(transaction=True)

PERSONAL = {
    "given_name": "Ingeborg",
    "family_name": "Vestergaard-Ohm",
    "email": "ingeborg@ohm-leuchten.example",
    "phone": "+49 30 901820",
    "job_title": "Prokuristin Leuchtmittel",
    "notes": "Her daughter studies in Porto.",
    "photo": "photos/0123456789abcdef0123456789abcdef.jpg",
}


@pytest.fixture
def person(client_of, alice) -> Customer:
    company = make_company(name="Ohm Leuchten", domain="ohm-leuchten.example", website="https://ohm-leuchten.example/")
    customer = make_customer(company=company, country="DE", owner=alice, **PERSONAL)
    make_visit(customer=customer, note="Brought her brother.", interests=["Porto trip"], stand="7.1 C042")
    make_follow_up(customer=customer, note="Ask for her brother.")
    Tag.objects.create(name="Friend of the Ohms").customers.add(customer)
    client_of(alice)
    LogEntry.objects.log_actions(alice.pk, [company], CHANGE, "Was Ohm-by-hand")
    return customer


def read_all_text() -> str:
    """Each row of each table, samples that the planner keeps included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute("ANALYZE")
        cursor.execute(" UNION ALL ".join(f"SELECT t::text FROM {table} t" for table in [*tables, "pg_stats"]))
        return "\n".join(row for (row,) in cursor.fetchall())


def test_no_personal_data_is_left(person, alice):
    texts = [
        *PERSONAL.values(),
        person.phone_e164,
        str(person.public_id),
        alice.email,
        alice.password,
        "Porto",
        "brother",
    ]
    texts += ["Ohm Leuchten", "ohm-leuchten", "Ohm-by-hand", "Ohms", "VESTERGAARD", "OHM LEUCHTEN"]
    before = read_all_text()
    assert [text for text in texts if text not in before] == []

    replace_personal_data()

    after = read_all_text()
    assert [text for text in texts if text in after] == []


def test_shape_of_the_data_is_kept(person):
    blank = Customer.objects.create(email="only@an-address.example")

    replace_personal_data()

    person.refresh_from_db()
    assert (person.company, person.owner, person.country) == (Company.objects.get(), User.objects.get(), "DE")
    assert all((person.given_name, person.family_name, person.email, person.phone, person.phone_e164, person.notes))
    blank.refresh_from_db()
    assert (blank.given_name, blank.phone, blank.email) == ("", "", f"customer{blank.pk}@example.com")
    visit = Visit.objects.get()
    assert (visit.customer, visit.grade, visit.stand, len(visit.interests)) == (person, "A", "7.1 C042", 1)


def test_replaced_rows_pass_their_own_validation(person):
    replace_personal_data()

    for model in (Company, Customer, Visit, User):
        for row in model.objects.all():
            row.full_clean()


def test_nobody_can_log_in_with_the_password_they_had(person, alice):
    alice.set_password("correct horse battery")
    alice.save()

    replace_personal_data()

    alice.refresh_from_db()
    assert (alice.has_usable_password(), alice.check_password("correct horse battery")) == (False, False)


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE customers_visit ADD badge_name text", "CREATE TABLE badges (badge_name text)"]
)
def test_unclassified_column_prevents_any_replacement(person, statement):
    table = "badges" if "CREATE" in statement else "customers_visit"
    with connection.cursor() as cursor:
        cursor.execute(statement)
    try:
        with pytest.raises(UnclassifiedError, match=rf"Not classified: {table}\.badge_name\. "):
            replace_personal_data()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE customers_visit DROP COLUMN IF EXISTS badge_name")
            cursor.execute("DROP TABLE IF EXISTS badges")
    assert Customer.objects.get(pk=person.pk).email == PERSONAL["email"]


def test_no_column_is_both_kept_and_replaced():
    assert {table: UNCHANGED_COLUMNS[table] & REPLACED_COLUMNS[table].keys() for table in REPLACED_COLUMNS} == {
        table: set() for table in REPLACED_COLUMNS
    }


def test_command_without_debug_is_refused(person):
    with pytest.raises(CommandError, match=r"DEBUG is off\. .* Nothing was replaced\."):
        call_command("replace_personal_data")
    assert Customer.objects.get(pk=person.pk).email == PERSONAL["email"]


def test_command_prints_the_replaced_rows(person, settings, capsys):
    settings.DEBUG = True
    call_command("replace_personal_data")
    assert "customers_customer: 1 rows\n" in capsys.readouterr().out
