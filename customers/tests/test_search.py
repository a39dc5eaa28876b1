"""Search results, and the search text after every kind of write."""

# ruff: noqa: RUF001 - characters that look like others are what is tested

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from customers.models import Company, Customer, FollowUp, Visit
from customers.tests.factories import make_company, make_customer, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

INGRID = " INGRID HAUGEN INGRID@NORDLYS.EXAMPLE  NORDLYS LIGHTING"


def text_of(row: Customer | Company) -> str:
    return type(row).objects.values_list("search_text", flat=True).get(pk=row.pk)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def ingrid() -> Customer:
    return make_customer(company=make_company())


# Every way to write a row.


def test_text_of_a_saved_customer_has_names_email_digits_and_company():
    customer = make_customer(phone="+49 (0)30 23125-010", company=make_company())

    assert text_of(customer) == " INGRID HAUGEN INGRID@NORDLYS.EXAMPLE 493023125010 NORDLYS LIGHTING"


def test_text_of_an_invalid_number_has_its_digits_as_they_are():
    assert text_of(make_customer(phone="12 34 (ask Ann)")) == " INGRID HAUGEN INGRID@NORDLYS.EXAMPLE 1234"


def test_text_of_a_customer_saved_by_the_form_is_right(alice, client_of):
    form = {"given_name": "Jörg", "family_name": "Weiß", "stage": "lead", "source": "stand", "phone": "030 23125010"}
    company = make_company()

    client_of(alice).post(
        reverse("admin:customers_customer_add"), form | {"country": "DE", "company": company.pk}, secure=True
    )

    assert text_of(Customer.objects.get()) == " JORG WEISS  493023125010 NORDLYS LIGHTING"


def test_text_of_customers_made_in_bulk_is_right():
    company = make_company()
    Customer.objects.bulk_create([Customer(given_name="Ingrid", company=company), Customer(family_name="Haugen")])

    texts = sorted(Customer.objects.values_list("search_text", flat=True))
    assert [text.split() for text in texts] == [["HAUGEN"], ["INGRID", "NORDLYS", "LIGHTING"]]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"given_name": "Sólveig"}, "SOLVEIG"),
        ({"family_name": "Næss"}, "NAESS"),
        ({"email": "other@fjord.example"}, "OTHER@FJORD.EXAMPLE"),
        ({"phone": "12 34"}, "1234"),
    ],
)
def test_text_follows_an_update_in_bulk(change, word, ingrid):
    Customer.objects.filter(pk=ingrid.pk).update(**change)

    assert word in text_of(ingrid).split()


def test_text_follows_a_change_of_the_company(ingrid):
    ingrid.company = make_company(name="Fjord Foods", domain="fjord.example")
    ingrid.save()

    assert text_of(ingrid) == INGRID.replace("NORDLYS LIGHTING", "FJORD FOODS")


def test_text_follows_the_loss_of_the_company(ingrid):
    Customer.objects.filter(pk=ingrid.pk).update(company=None)

    assert text_of(ingrid) == " INGRID HAUGEN INGRID@NORDLYS.EXAMPLE "


def test_text_follows_a_company_that_is_renamed(ingrid):
    other = make_customer(family_name="Brandt", email="brandt@fjord.example")
    Company.objects.update(name="Polarlys Ærø")

    assert text_of(ingrid) == INGRID.replace("NORDLYS LIGHTING", "POLARLYS AERO")
    assert text_of(other) == " INGRID BRANDT BRANDT@FJORD.EXAMPLE "


def test_company_without_customers_is_renamed():
    company = make_company()
    Company.objects.update(name="Polarlys")

    assert text_of(company) == " POLARLYS NORDLYS.EXAMPLE"


def test_text_that_is_written_directly_is_overwritten(ingrid):
    execute("UPDATE customers_customer SET search_text = 'nonsense'")
    execute("UPDATE customers_company SET search_text = 'nonsense'")

    assert (text_of(ingrid), text_of(ingrid.company)) == (INGRID, " NORDLYS LIGHTING NORDLYS.EXAMPLE")


def test_text_follows_plain_sql(ingrid):
    execute("UPDATE customers_customer SET family_name = 'Müller'")
    execute("UPDATE customers_company SET name = 'Größe & Söhne'")

    assert text_of(ingrid) == " INGRID MULLER INGRID@NORDLYS.EXAMPLE  GROSSE & SOHNE"


def test_text_of_imported_customers_is_right(tmp_path):
    make_company()
    file = tmp_path / "customers.csv"
    file.write_text(
        "given_name,family_name,email,phone,company\nZoë,Ångström,zoe@x.example,+46 8 123 456 00,Nordlys Lighting"
    )

    call_command("import_customers", str(file))

    assert text_of(Customer.objects.get()) == " ZOE ANGSTROM ZOE@X.EXAMPLE 46812345600 NORDLYS LIGHTING"


def test_saving_a_row_that_was_loaded_before_keeps_the_text(ingrid):
    stale = Customer.objects.get()
    Company.objects.update(name="Polarlys")
    stale.save()

    assert text_of(stale) == INGRID.replace("NORDLYS LIGHTING", "POLARLYS")


# What is found.


@pytest.fixture
def crowd() -> None:
    """Ingrid, and people who have something in common with her."""
    nordlys = make_company()
    make_customer(phone="+49 (0)30 23125-010", company=nordlys)
    make_customer(given_name="Jonas", family_name="Haugen", email="jonas@falken.example", phone="+49 89 4711 0815")
    make_customer(given_name="Ingrid", family_name="Brandt", email="brandt@falken.example", phone="12345")
    for given, family in (("Jörg", "Weiß"), ("Γιώργος", "Παπαδόπουλος"), ("Наталья", "Иванова"), ("明", "王")):
        make_customer(
            given_name=given, family_name=family, email="", company=make_company(name=f"{family} & Co", domain="")
        )


def search_names(text: str) -> list[str]:
    return sorted(str(customer) for customer in Customer.objects.matching(text))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ingrid haugen",
            "Haugen INGRID",
            "ngri auge",
            "haugen nordlys",
            "light ingrid",
            "ingrid haugen nordlys lighting",
        ),
        *("ingrid@nordlys.example", "INGRID@Nordlys", "rid@nord", "@nordlys.example"),
        *("+49 30 23125010", "0049 30 23125010", "004930-23125010", "+49 (0)30 23125-010", "030 23125010"),
        *("(030) 23125-010", "030/23125010", "030.231.250.10", "030\u2011231\u201325010", "23125", "2312 5010"),
        *("haugen 030 231 25", "+49 30 23125 ingrid", "0302312"),
        *("  ingrid   haugen  ", "ingrid\tHAUGEN", "in ha no", "i h no"),
    ],
)
@pytest.mark.usefixtures("crowd")
def test_search_finds_only_ingrid(text):
    assert search_names(text) == ["Ingrid Haugen"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("haugen", ["Ingrid Haugen", "Jonas Haugen"]),
        ("ingrid", ["Ingrid Brandt", "Ingrid Haugen"]),
        ("falken", ["Ingrid Brandt", "Jonas Haugen"]),
        ("+49", ["Ingrid Haugen", "Jonas Haugen"]),
        ("0815", ["Jonas Haugen"]),
        ("12345", ["Ingrid Brandt"]),
        ("jorg weiss", ["Jörg Weiß"]),
        ("JÖRG WEISS", ["Jörg Weiß"]),
        ("weiß", ["Jörg Weiß"]),
        ("γιωργος", ["Γιώργος Παπαδόπουλος"]),
        ("ΠΑΠΑΔΟΠΟΥΛΟΣ", ["Γιώργος Παπαδόπουλος"]),
        ("ивано НАТ", ["Наталья Иванова"]),
        ("王", ["明 王"]),
        ("明 王", ["明 王"]),
        ("j", ["Jonas Haugen", "Jörg Weiß"]),
        ("Jö", ["Jonas Haugen", "Jörg Weiß"]),
        ("ug", []),  # two letters begin a word
        ("haugen fjord", []),
        ("nobody", []),
        ("%", []),
        ("_", []),
        ("\\", []),
        ("ha%en", []),
        ("h_ugen", []),
        ("ha％en", []),
        ("haugen\\", []),
        ("haugen＼", []),
        ("ing\0rid haugen", ["Ingrid Haugen"]),
        ("", []),
        (" - & ", []),
        ("haugen &", ["Ingrid Haugen", "Jonas Haugen"]),
    ],
)
@pytest.mark.usefixtures("crowd")
def test_words_find(text, expected):
    assert search_names(text) == expected


def test_wildcards_are_searched_literally():
    for name in ("100% Wool", "snake_case", "back\\slash", "100 Wool"):
        make_customer(given_name="", family_name=name, email="")

    words = ("100% wool", "nake_c", "ack\\s")
    assert [search_names(text) for text in words] == [["100% Wool"], ["snake_case"], ["back\\slash"]]


def test_name_with_figures_is_no_phone_number():
    for name in ("24/7 Logistics", "1-2-3 Mobil", "Studio 54"):
        make_customer(given_name="", family_name=name, email="")

    assert [search_names(text) for text in ("24/7", "1-2-3", "54")] == [
        ["24/7 Logistics"],
        ["1-2-3 Mobil"],
        ["Studio 54"],
    ]


def test_search_for_500_words_ends(alice, client_of, ingrid):
    words = " ".join(f"word{number}" for number in range(500))

    response = client_of(alice).get(reverse("admin:customers_customer_changelist"), {"q": words}, secure=True)

    assert list(response.context["cl"].result_list) == []


@pytest.mark.parametrize("text", ["%", "'; DROP TABLE", "x" * 5000, "🦊"])
@pytest.mark.parametrize("model", ["company", "customer", "exhibition", "followup", "visit"])
def test_list_answers_any_search(model, text, alice, client_of):
    make_visit(customer=make_customer(company=make_company()))

    response = client_of(alice).get(reverse(f"admin:customers_{model}_changelist"), {"q": text}, secure=True)

    assert (response.status_code, list(response.context["cl"].result_list)) == (200, [])


def test_search_with_a_nul_says_so_and_shows_the_list(alice, client_of, ingrid):
    response = client_of(alice).get(reverse("admin:customers_customer_changelist"), {"q": "a\0b"}, secure=True)

    assert [str(message) for message in response.context["messages"]] == ["Null characters are not allowed."]
    assert list(response.context["cl"].result_list) == [ingrid]


def test_companies_visits_and_follow_ups_are_found_by_their_words():
    visit = make_visit(customer=make_customer(company=make_company()))
    follow_up = make_follow_up(visit=visit)
    other = make_visit(customer=make_customer(email="b@c.example", given_name="Bob"), exhibition=visit.exhibition)
    make_company(name="Fjord", domain="fjord.example")

    assert [str(company) for company in Company.objects.matching("nordlys.ex light")] == ["Nordlys Lighting"]
    assert list(Visit.objects.matching("haugen nordlys light")) == [visit]
    assert list(Visit.objects.matching("bob")) == [other]
    assert list(FollowUp.objects.matching("ingrid")) == [follow_up]
