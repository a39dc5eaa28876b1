import pytest

from customers.importing import CUSTOMERS, Mode, Options
from customers.models import Company, Customer
from customers.tests.factories import make_company, make_customer
from customers.tests.import_files import import_text, omissions, outcome, rejects

pytestmark = pytest.mark.django_db


def test_created_customer_is_marked_as_imported_and_completed_by_the_model(tmp_path):
    import_text(
        CUSTOMERS, tmp_path, "given name,email,phone,country,stage\nAnn,ANN@example.com,030 1234567,DE,Prospect\n"
    )

    ann = Customer.objects.get()
    assert (ann.email, ann.phone, ann.phone_e164) == ("ann@example.com", "030 1234567", "+49301234567")
    assert (ann.source, ann.stage, ann.owner, ann.photo.name) == ("import", "prospect", None, "")
    assert ann.public_id is not None


def test_blank_stage_of_a_new_customer_is_the_models_default(tmp_path):
    import_text(CUSTOMERS, tmp_path, "email,stage\nann@example.com,\n")

    assert Customer.objects.get().stage == "lead"


def test_customer_is_identified_by_email(tmp_path):
    make_customer(email="ann@example.com", family_name="Lind", stage="customer", source="stand")

    report = import_text(CUSTOMERS, tmp_path, "Email,Last Name,Stage\nANN@EXAMPLE.COM,Berg,\n")

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert list(Customer.objects.values_list("family_name", "stage", "source")) == [("Berg", "customer", "stand")]


def test_customer_without_email_is_identified_by_name_and_company(tmp_path):
    company = make_company(name="Nordlys")
    make_customer(given_name="Ann", family_name="Lind", email="", company=company)
    make_customer(given_name="Ann", family_name="Lind", email="", company=None)
    make_customer(given_name="Ann", family_name="Lind", email="ann@example.com", company=company)

    report = import_text(
        CUSTOMERS,
        tmp_path,
        "given_name,family_name,company,job_title\nANN,lind,NORDLYS,Buyer\nAnn,Lind,,Driver\nAnn,Lind,Fjord,Clerk\n",
    )

    assert outcome(report) == (1, 2, 0, 0, 0)
    assert list(Customer.objects.order_by("pk").values_list("given_name", "email", "company__name", "job_title")) == [
        ("ANN", "", "Nordlys", "Buyer"),
        ("Ann", "", None, "Driver"),
        ("Ann", "ann@example.com", "Nordlys", ""),
        ("Ann", "", "Fjord", "Clerk"),
    ]


def test_customer_without_name_and_email_is_identified_by_phone(tmp_path):
    text = "phone,notes\n+47 22123456,Stand 4\n+47 22123457,Stand 5\n"
    import_text(CUSTOMERS, tmp_path, text)

    assert outcome(import_text(CUSTOMERS, tmp_path, text)) == (0, 0, 2, 0, 0)
    assert Customer.objects.count() == 2


def test_row_with_the_key_of_two_customers_is_rejected(tmp_path):
    make_customer(email="ann@example.com")
    make_customer(email="ann@example.com")

    report = import_text(CUSTOMERS, tmp_path, "Email,Last Name\nann@example.com,Berg\n")

    assert rejects(report) == [(2, "Email", "ann@example.com", "2 customers have this e-mail.")]


def test_phone_keeps_its_international_form_when_only_the_country_changes(tmp_path):
    make_customer(email="ann@example.com", phone="030 1234567")

    import_text(CUSTOMERS, tmp_path, "email,country\nann@example.com,Germany\n")

    assert list(Customer.objects.values_list("phone", "phone_e164", "country")) == [
        ("030 1234567", "+49301234567", "DE")
    ]


def test_row_without_name_email_and_phone_is_rejected(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "email,job_title\n,Buyer\n")

    assert rejects(report) == [(2, "family_name", "", "Enter a name, an e-mail address or a phone number.")]


def test_company_is_created_once_for_several_customers(tmp_path):
    text = "email,company,country\na@example.com,Nordlys,NO\nb@example.com,NORDLYS,SE\n"

    report = import_text(CUSTOMERS, tmp_path, text)

    assert (outcome(report), report.employers) == ((2, 0, 0, 0, 0), 1)
    assert list(Company.objects.values_list("name", "country", "domain")) == [("Nordlys", "", "")]
    assert list(Customer.objects.values_list("company__name", flat=True)) == ["Nordlys", "Nordlys"]
    again = import_text(CUSTOMERS, tmp_path, text)
    assert (outcome(again), again.employers) == ((0, 0, 2, 0, 0), 0)


def test_company_in_the_customers_country_is_meant_where_several_have_the_name(tmp_path):
    make_company(name="Nordlys", domain="nordlys.example", country="NO")
    swedish = make_company(name="Nordlys", domain="nordlys.example.com", country="SE")

    report = import_text(
        CUSTOMERS, tmp_path, "email,company,country\na@example.com,nordlys,Sweden\nb@example.com,Nordlys,DK\n"
    )

    assert list(Customer.objects.order_by("pk").values_list("email", "company")) == [
        ("a@example.com", swedish.pk),
        ("b@example.com", None),
    ]
    assert omissions(report) == [(3, "company", "Nordlys", "2 companies are named “Nordlys”.")]


def test_company_of_a_rejected_or_skipped_row_is_not_created(tmp_path):
    import_text(
        CUSTOMERS,
        tmp_path,
        "email,company\nann@example.com,Nordlys\n",
        Options(mode=Mode.UPDATE),
    )
    import_text(CUSTOMERS, tmp_path, f"email,company\nann,Nordlys\nann@example.com,{'x' * 201}\n")

    assert Company.objects.count() == 0
    assert [(one.email, one.company) for one in Customer.objects.all()] == [("ann@example.com", None)]


def test_company_of_a_row_the_database_rejects_is_not_created(tmp_path, monkeypatch):
    monkeypatch.setattr(Customer._meta.get_field("phone"), "validators", [])
    rows = [f"p{number}@example.com,1,Company {number % 4}" for number in range(8)]
    rows[3] = f"p3@example.com,{'1' * 51},Company 3"
    rows[7] = f"p7@example.com,{'1' * 51},Company 3"

    report = import_text(CUSTOMERS, tmp_path, "\n".join(["email,phone,company", *rows]))

    assert outcome(report) == (6, 0, 0, 0, 2)
    assert rejects(report) == [(line, "", "", "value too long for type character varying(50)") for line in (5, 9)]
    assert list(Company.objects.values_list("name", flat=True)) == ["Company 0", "Company 1", "Company 2"]
    assert report.employers == 3


def test_slash_in_a_name_does_not_make_two_people_one(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "given_name,family_name\nAnn/Lind,Berg\nAnn,Lind/Berg\n")

    assert outcome(report) == (2, 0, 0, 0, 0)
