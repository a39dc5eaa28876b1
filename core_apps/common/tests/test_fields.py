import pytest
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.translation import override

from core_apps.common.fields import WebAddressValidator, get_country_choices, get_country_names

PLAIN = ["http://nordlys.example", "https://www.nordlys.example/", "https://a-b.c1.example/en/?q=a:b#c@[d]"]
UNUSUAL = [
    "HTTPS://Nordlys.Example:8443/",
    "https://løkke.example/søk",
    "https://xn--lkke-gra.example/",
    "https://ann:secret@[2001:db8::1]/",
    "http://192.0.2.1",
    "http://localhost",
]
WRONG = [
    "",
    "nordlys.example",
    "ftp://nordlys.example",
    "javascript:alert(1)",
    "https://nordlys",
    "https://-nordlys.example",
    "https://nordlys-.example",
    "https://nordlys..example",
    "https://nordlys.example/a b",
    "https://nordlys.example/\n",
    "https://nordlys.example\n",
    "https://nordlys.e",
    "https://" + "a" * 64 + ".example",
    "https://" + "a." * 130 + "example",
]


def is_accepted(validator: URLValidator, address: str) -> bool:
    try:
        validator(address)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("address", [*PLAIN, *UNUSUAL, *WRONG])
def test_web_address_is_accepted_exactly_where_django_accepts_it(address):
    accepted = is_accepted(URLValidator(schemes=["http", "https"]), address)

    assert accepted == (address not in WRONG)
    assert is_accepted(WebAddressValidator(), address) == accepted


@pytest.mark.parametrize("address", PLAIN)
def test_plain_web_address_passes_by_the_one_expression(address):
    assert WebAddressValidator.PLAIN.fullmatch(address)


def test_country_is_chosen_by_its_name_in_the_language_of_the_person():
    with override("de"):
        german = dict(get_country_choices())

    assert (german["DE"], dict(get_country_choices())["DE"], get_country_names()["DE"]) == (
        "Deutschland",
        "Germany",
        "Germany",
    )
    assert list(german.values()).index("Ägypten") < list(german.values()).index("Zypern")
