"""Cells as people and programs fill them."""

import time

import pytest

from customers.importing import CUSTOMERS, Options
from customers.importing.values import (
    DIGITS_LOST,
    NO_DIGITS,
    ONE_VALUE,
    clean_email,
    clean_phone,
    clean_website,
    split_name,
)
from customers.models import Customer
from customers.models.rules import normalise_domain
from customers.tests.import_files import import_text, omissions, outcome, rejects


@pytest.mark.parametrize(
    ("cell", "email", "reason"),
    [
        ("kari@example.com", "kari@example.com", ""),
        ("o'brien+fair@example.com", "o'brien+fair@example.com", ""),
        ("info@bücher.example", "info@bücher.example", ""),
        ("kari@example.com; k.lie@example.com", "kari@example.com", ONE_VALUE),
        ("kari@example.com, k.lie@example.com", "kari@example.com", ONE_VALUE),
        ("kari@example.com k.lie@example.com", "kari@example.com", ONE_VALUE),
        ("kari@example.com\nk.lie@example.com", "kari@example.com", ONE_VALUE),
        ("kari@example.com / k.lie@example.com", "kari@example.com", ONE_VALUE),
        ("kari@example.com; KARI@example.com", "kari@example.com", ""),
        ("Kari Lie <kari@example.com>", "kari@example.com", ""),
        ('"Lie, Kari" <kari@example.com>', "kari@example.com", ""),
        ("mailto:kari@example.com", "kari@example.com", ""),
        ("MAILTO:kari@example.com?subject=Fair", "kari@example.com", ""),
        ("<mailto:kari@example.com>", "kari@example.com", ""),
        ("kari@example.com;", "kari@example.com", ""),
        ("\u200bkari@example.com\u200e", "kari@example.com", ""),
        ("n/a", "n/a", ""),
        ("kari at example.com", "kari at example.com", ""),
    ],
)
def test_address_in_an_email_cell(cell, email, reason):
    assert clean_email(cell) == (email, reason)


@pytest.mark.parametrize(
    ("cell", "phone", "reason"),
    [
        ("+49 30 901820", "+49 30 901820", ""),
        ("+49 (0)30 / 901820", "+49 (0)30 / 901820", ""),
        ("030/901820-55", "030/901820-55", ""),
        ("+49 (0)30 901820 ext. 12", "+49 (0)30 901820 ext. 12", ""),
        ("+49 30 901820 / +49 171 1234567", "+49 30 901820", ONE_VALUE),
        ("+49 30 901820/+49 171 1234567", "+49 30 901820", ONE_VALUE),
        ("030 901820; 0171 1234567", "030 901820", ONE_VALUE),
        ("030 901820, 0171 1234567", "030 901820", ONE_VALUE),
        ("030 901820\n0171 1234567", "030 901820", ONE_VALUE),
        ("tel:+49301234567", "+49301234567", ""),
        ("tel:+1-418-656-9254;ext=102", "+1-418-656-9254 ext. 102", ""),
        ("\u202a+49 171 1234567\u202c", "+49 171 1234567", ""),
        ("٠٣٠٩٠١٨٢٣", "٠٣٠٩٠١٨٢٣", ""),
        ("4.93012E+11", "", DIGITS_LOST),
        ("4,93012E+11", "", DIGITS_LOST),
        ("4.93e11", "", DIGITS_LOST),
        ("5E+10", "", DIGITS_LOST),
        ("n/a", "", NO_DIGITS),
        ("-", "", NO_DIGITS),
        ("########", "", NO_DIGITS),
    ],
)
def test_number_in_a_phone_cell(cell, phone, reason):
    assert clean_phone(cell) == (phone, reason)


@pytest.mark.parametrize(
    ("cell", "website", "reason"),
    [
        ("www.example.com", "https://www.example.com", ""),
        ("example.com/en", "https://example.com/en", ""),
        ("http://example.com", "http://example.com", ""),
        ("HTTPS://EXAMPLE.COM", "HTTPS://EXAMPLE.COM", ""),
        ("www.example.com, www.example.org", "https://www.example.com", ONE_VALUE),
        ("https://example.com www.example.org", "https://example.com", ONE_VALUE),
        ("http://[", "http://[", ""),
    ],
)
def test_address_in_a_website_cell(cell, website, reason):
    assert clean_website(cell) == (website, reason)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("", ""),
        ("example.com", "example.com"),
        ("www.example.com", "example.com"),
        ("WWW.Example.COM.", "example.com"),
        ("https://www.example.com/", "example.com"),
        ("http://user@example.com:8080/path?query#part", "example.com"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("www.XN--BCHER-KVA.example", "bücher.example"),
        ("Bu\u0308cher.example", "bücher.example"),
        ("xn--strae-oqa.example", "straße.example"),
        ("xn--i1b6b1a6a2e.xn--h2brj9c", "संगठन.भारत"),
        ("xn--ls8h.example", "xn--ls8h.example"),  # an emoji, which is no letter
        ("xn--\u00e4.example", "xn--\u00e4.example"),
        ("www.com", "www.com"),
        ("fjord", "fjord"),
    ],
)
def test_domain_has_one_spelling(text, domain):
    assert normalise_domain(text) == domain
    assert normalise_domain(domain) == domain


@pytest.mark.parametrize(
    ("text", "given", "family"),
    [
        ("Ola Dahl", "Ola", "Dahl"),
        ("Lie, Kari", "Kari", "Lie"),
        ("van der Berg, Jan", "Jan", "van der Berg"),
        ("Jan van der Berg", "Jan", "van der Berg"),
        ("Anna Maria von Trapp", "Anna Maria", "von Trapp"),
        ("Dr. Eva Huber", "Eva", "Huber"),
        ("Herr Prof. Dr. Jörg Müller", "Jörg", "Müller"),
        ("Huber, Dr. Eva", "Dr. Eva", "Huber"),
        ("John Doe, PhD", "John", "Doe"),
        ("John Doe Jr.", "John", "Doe"),
        ("John Q. Public", "John Q.", "Public"),
        ("Madonna", "", "Madonna"),
        ("王伟", "", "王伟"),
        ("Ing", "", "Ing"),
        ("Lie,", "", "Lie"),
    ],
)
def test_full_name_is_split(text, given, family):
    assert split_name(text) == (given, family)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Full name\nOla Dahl\n", ("Ola", "Dahl")),
        ('Attendee Name\n"Lie, Kari"\n', ("Kari", "Lie")),
        ("Ansprechpartner\nJörg Müller\n", ("Jörg", "Müller")),
        ("Vorname,Name\nJörg,Müller\n", ("Jörg", "Müller")),
        ("First Name,Full Name\nKari,Kari Lie\n", ("Kari", "Lie")),
        ("First Name,Last Name,Full Name\nKari,Lie,Somebody Else\n", ("Kari", "Lie")),
        ("First Name,Last Name,Full Name\n,,Kari Lie\n", ("Kari", "Lie")),
    ],
)
def test_customer_gets_the_names_of_a_full_name(text, names, tmp_path):
    import_text(CUSTOMERS, tmp_path, text)

    assert list(Customer.objects.values_list("given_name", "family_name")) == [names]


@pytest.mark.django_db
def test_values_that_are_no_good_are_left_out_of_a_customer(tmp_path):
    text = "First Name,Email,Phone,Country,Stage\nKari,kari at home,4.93E+11,Atlantis,Fan\n"

    report = import_text(CUSTOMERS, tmp_path, text)

    assert (outcome(report), report.left_out) == ((1, 0, 0, 0, 0), 4)
    assert [omission[:3] for omission in omissions(report)] == [
        (2, "Phone", "4.93E+11"),
        (2, "Email", "kari at home"),
        (2, "Country", "Atlantis"),
        (2, "Stage", "Fan"),
    ]
    customer = Customer.objects.get()
    assert (customer.given_name, customer.email, customer.phone, customer.country, customer.stage) == (
        "Kari",
        "",
        "",
        "",
        "lead",
    )


@pytest.mark.django_db
def test_value_that_is_no_good_does_not_erase_the_one_that_is_there(tmp_path):
    import_text(CUSTOMERS, tmp_path, "Email,Phone,Country\nkari@example.com,+47 22 11 33 44,NO\n")

    import_text(CUSTOMERS, tmp_path, "Email,Phone,Country\nkari@example.com,4.7E+10,N/A\n")

    assert list(Customer.objects.values_list("phone", "country")) == [("+47 22 11 33 44", "NO")]


@pytest.mark.django_db
def test_row_with_nothing_left_is_rejected_with_all_reasons(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "Email,Phone\nkari at home,-\n")

    assert rejects(report) == [
        (2, "Phone", "-", NO_DIGITS),
        (2, "Email", "kari at home", "Enter a valid email address."),
        (2, "family_name", "", "Enter a name, an e-mail address or a phone number."),
    ]


@pytest.mark.django_db
def test_strict_import_rejects_a_row_for_any_value(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "Name,Email\nKari,a@example.com; b@example.com\n", Options(strict=True))

    assert rejects(report) == [(2, "Email", "b@example.com", ONE_VALUE)]
    assert Customer.objects.count() == 0


@pytest.mark.django_db
def test_cell_of_the_greatest_length_is_searched_in_no_time(tmp_path):
    email, phone = "a" * 130_000, f"1{' ' * 130_000}2"
    started = time.monotonic()

    report = import_text(CUSTOMERS, tmp_path, f"Name,Email,Phone\nKari,{email},{phone}\n")

    assert time.monotonic() - started < 2
    assert [(line, column) for line, column, *_ in omissions(report)] == [(2, "Email"), (2, "Phone")]
