from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import IntegrityError, connection
from django.utils import timezone

from customers.models import Company, Customer, Exhibition, FollowUp, Visit
from customers.models.phones import to_e164
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

# One row for each named constraint: how one row breaks it, past all validation.
BROKEN_ROWS = [
    (Exhibition, "exhibition_name_not_blank", {"name": ""}),
    (Exhibition, "exhibition_ends_after_it_starts", {"ends_on": date(2026, 3, 9)}),
    (Exhibition, "exhibition_days_in_range", {"starts_on": date(1969, 12, 31)}),
    (Exhibition, "exhibition_days_in_range", {"ends_on": date(2200, 1, 1)}),
    (Exhibition, "exhibition_country_is_a_code", {"country": "de"}),
    (Exhibition, "exhibition_time_zone_not_blank", {"time_zone": ""}),
    (Exhibition, "exhibition_website_is_a_web_address", {"website": "javascript:alert(1)"}),
    (Company, "company_name_not_blank", {"name": ""}),
    (Company, "company_domain_is_a_lower_case_domain", {"domain": "Nordlys.example"}),
    (Company, "company_domain_is_a_lower_case_domain", {"domain": "no spaces.example"}),
    (Company, "company_country_is_a_code", {"country": "N1"}),
    (Company, "company_website_is_a_web_address", {"website": "ftp://nordlys.example"}),
    (Customer, "customer_has_a_name_an_email_or_a_phone", {"given_name": "", "family_name": "", "email": ""}),
    (Customer, "customer_phone_e164_form", {"phone": "030", "phone_e164": "+030"}),
    (Customer, "customer_phone_e164_comes_from_phone", {"phone_e164": "+493023125010"}),
    (Customer, "customer_country_is_a_code", {"country": "de"}),
    (Customer, "customer_stage_known", {"stage": "won"}),
    (Customer, "customer_source_known", {"source": "magic"}),
    (Visit, "visit_grade_known", {"grade": "E"}),
    (Visit, "visit_visited_at_in_range", {"visited_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}),
    (FollowUp, "follow_up_due_at_in_range", {"due_at": datetime(1, 1, 1, tzinfo=UTC)}),
    (FollowUp, "follow_up_completed_at_in_range", {"completed_at": datetime(2200, 1, 1, tzinfo=UTC)}),
    (FollowUp, "follow_up_channel_known", {"channel": "fax"}),
    (FollowUp, "follow_up_priority_known", {"priority": 4}),
    (FollowUp, "follow_up_outcome_known", {"outcome": "won", "completed_at": datetime(2026, 3, 12, tzinfo=UTC)}),
    (FollowUp, "follow_up_outcome_of_a_completed_one", {"outcome": "reached"}),
]
FACTORIES = {
    Exhibition: make_exhibition,
    Company: make_company,
    Customer: make_customer,
    Visit: make_visit,
    FollowUp: make_follow_up,
}


@pytest.mark.parametrize(("model", "constraint", "changes"), BROKEN_ROWS)
def test_constraint_refuses_a_row_that_bypasses_validation(model, constraint, changes):
    row = FACTORIES[model]()

    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        model.objects.filter(pk=row.pk).update(**changes)


def test_customer_email_in_capitals_is_refused_by_the_database():
    make_customer()
    with pytest.raises(IntegrityError, match='"customer_email_lower_case"'), connection.cursor() as cursor:
        cursor.execute("UPDATE customers_customer SET email = 'Ingrid@nordlys.example'")


def test_every_named_check_constraint_has_a_breaking_row():
    named = {
        constraint.name
        for model in FACTORIES
        for constraint in model._meta.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }

    assert named == {name for _, name, _ in BROKEN_ROWS} | {"customer_email_lower_case"}


UNIQUE_ROWS = [
    (make_exhibition, "exhibition_unique_edition", {"name": "HARBOUR FAIR"}),
    (make_company, "company_unique_domain", {"name": "Another"}),
]


@pytest.mark.parametrize(("make", "constraint", "changes"), UNIQUE_ROWS)
def test_second_row_with_the_same_key_is_refused(make, constraint, changes):
    make()

    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        make(**changes)


def test_company_without_domain_is_unique_by_name_and_country():
    make_company(domain="")
    make_company(domain="", country="SE")

    with pytest.raises(IntegrityError, match='"company_unique_name_without_domain"'):
        make_company(domain="", name="nordlys LIGHTING")


def test_same_visit_twice_is_refused():
    visit = make_visit()

    with pytest.raises(IntegrityError, match='"visit_once_at_a_time"'):
        make_visit(customer=visit.customer, exhibition=visit.exhibition)


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("+49 30 23125-010", "", "+493023125010"),
        ("030 23125010", "DE", "+493023125010"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("030 23125010", "", ""),  # no country code and no country
        ("ask at the desk", "DE", ""),
        ("12", "DE", ""),
        ("", "DE", ""),
    ],
)
def test_e164_of_a_number_as_written(number, region, expected):
    assert to_e164(number, region) == expected


def test_customer_phone_follows_the_number_as_entered():
    customer = make_customer(phone="020 7946 0321", country="GB")
    assert (customer.phone, customer.phone_e164) == ("020 7946 0321", "+442079460321")

    customer.phone = ""
    customer.save()
    assert customer.phone_e164 == ""


def test_customer_phone_region_setting_serves_customers_without_country(settings):
    settings.PHONE_REGION = "DE"

    assert make_customer(phone="030 23125010").phone_e164 == "+493023125010"


def test_customer_email_is_kept_and_found_in_lower_case():
    customer = make_customer(email="Ingrid@Nordlys.Example")

    customer.refresh_from_db()
    assert customer.email == "ingrid@nordlys.example"
    assert Customer.objects.get(email="INGRID@nordlys.example") == customer


def test_customer_without_name_email_and_phone_is_refused():
    with pytest.raises(ValidationError) as error:
        Customer(job_title="Buyer").full_clean()

    assert error.value.message_dict == {"family_name": ["Enter a name, an e-mail address or a phone number."]}


def test_public_id_is_made_by_the_database_and_differs():
    first, second = make_customer(), make_customer(email="other@nordlys.example")

    assert first.public_id != second.public_id


@pytest.mark.parametrize(
    ("customer", "text"),
    [
        (Customer(given_name="Ingrid", family_name="Haugen"), "Ingrid Haugen"),
        (Customer(family_name="Haugen"), "Haugen"),
        (Customer(email="i@nordlys.example", phone="1234"), "i@nordlys.example"),
        (Customer(phone="1234"), "1234"),
    ],
)
def test_customer_text_is_the_best_that_is_known(customer, text):
    assert str(customer) == text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("domain", "https://nordlys.example", "“https://nordlys.example” is not a web domain such as example.com."),
        ("country", "ZZ", "“ZZ” is not a country code."),
        ("website", "ftp://nordlys.example", "Enter a valid URL."),
    ],
)
def test_company_field_with_bad_value_is_refused(field, value, message):
    with pytest.raises(ValidationError) as error:
        Company(**{"name": "Nordlys", field: value}).full_clean()

    assert error.value.message_dict == {field: [message]}


def test_company_domain_in_capitals_is_folded():
    company = Company(name="Nordlys", domain="Nordlys.Example")
    company.full_clean()

    assert company.domain == "nordlys.example"


def test_company_website_with_its_scheme_in_capitals_is_kept():
    company = Company(name="Nordlys", website="HTTPS://nordlys.example/")
    company.full_clean()
    company.save()

    assert Company.objects.get().website == "HTTPS://nordlys.example/"


@pytest.mark.parametrize("name", ["Mars/North", "localtime", "posixrules", "EST5EDT", "../etc/passwd", "europe/berlin"])
def test_exhibition_with_unknown_time_zone_is_refused(name):
    with pytest.raises(ValidationError) as error:
        Exhibition(name="Fair", starts_on=date(2026, 1, 1), ends_on=date(2026, 1, 2), time_zone=name).full_clean()

    assert error.value.message_dict == {"time_zone": [f"“{name}” is not a time zone such as Europe/Berlin."]}


def test_stored_time_zone_that_is_unknown_is_named_by_a_check():
    make_exhibition()
    key = make_exhibition(name="Fjord Fair", time_zone="Mars/North").pk

    with pytest.raises(SystemCheckError) as error:
        call_command("check", databases=["default"], fail_level="WARNING")

    assert f"The time zone “Mars/North” of exhibition {key} is unknown." in str(error.value)
    assert "1 issue" in str(error.value)


@pytest.mark.parametrize(
    ("moment", "is_accepted"),
    [
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), False),
        (datetime(1970, 1, 1, tzinfo=UTC), True),
        (timezone.now() + timedelta(hours=23), True),
        (timezone.now() + timedelta(hours=25), False),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), False),
    ],
)
def test_visit_is_between_1970_and_tomorrow(moment, is_accepted):
    visit = make_visit()
    visit.visited_at = moment

    if is_accepted:
        visit.full_clean()
    else:
        with pytest.raises(ValidationError, match=r"\['.* is not between 1970 and now"):
            visit.full_clean()
