"""The German catalogues have every text of the source, and the compiled ones match them.

The source is read without the tools of gettext, so that a machine without them runs this too.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from django.urls import reverse
from django.utils.translation import deactivate
from django.utils.translation.template import templatize

from customers.tests.factories import make_customer, make_exhibition

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = (
    "customers",
    *(f"core_apps/{name}" for name in ("accounts", "api", "big_lists", "common", "media", "operations")),
)
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
PLURAL = {"ngettext", "ngettext_lazy"}
Text = tuple[str, ...]  # the singular, and the plural where there is one


@pytest.fixture(autouse=True)
def _language_ends_with_the_test():
    """A request leaves its thread in its language."""
    yield
    deactivate()


def texts_of_python(source: str) -> Iterator[Text]:
    """Of the calls that mark a text; a text may be made of literals alone."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", ""))
        if isinstance(node, ast.Call) and name in MARKS and node.args:
            yield tuple(ast.literal_eval(argument) for argument in node.args[: 2 if name in PLURAL else 1])


def texts_of_template(source: str) -> Iterator[Text]:
    """Of what Django makes of a template for xgettext: its marked texts as calls, and the rest as noise."""
    literal = r"u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    for call in re.finditer(rf"\b(n?gettext|_)\({literal}(?:,\s*{literal})?", templatize(source)):
        texts = call.groups()[1:] if call[1] == "ngettext" else call.groups()[1:2]
        yield tuple(ast.literal_eval(text) for text in texts if text)


def texts_of(app: str) -> set[Text]:
    found: set[Text] = set()
    for path in (CHECKOUT / app).rglob("*"):
        if path.suffix == ".py" and "tests" not in path.parts and "migrations" not in path.parts:
            found |= set(texts_of_python(path.read_text()))
        elif path.suffix in (".html", ".txt") and "templates" in path.parts:
            found |= set(texts_of_template(path.read_text()))
    return found


def catalogue_of(app: str) -> dict[Text, Text]:
    """As a person wrote it."""
    blocks = (CHECKOUT / app / "locale/de/LC_MESSAGES/django.po").read_text(encoding="utf-8").split("\n\n")
    return dict(map(message, blocks[1:]))


def message(block: str) -> tuple[Text, Text]:
    assert ", fuzzy" not in block, block
    values: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("msg"):
            name, _, line = line.partition(" ")
        if line.startswith('"'):
            values[name] = values.get(name, "") + ast.literal_eval(line)
    return tuple(values[key] for key in values if "id" in key), tuple(values[key] for key in values if "str" in key)


def read_compiled(app: str) -> dict[Text, Text]:
    with (CHECKOUT / app / "locale/de/LC_MESSAGES/django.mo").open("rb") as file:
        raw = gettext.GNUTranslations(file)
    return {text: translations(raw, text) for text in catalogue_of(app)}


def translations(raw: gettext.GNUTranslations, text: Text) -> Text:
    if len(text) == 1:
        return (raw.gettext(*text),)
    return raw.ngettext(text[0], text[1], 1), raw.ngettext(text[0], text[1], 2)


def places(text: str) -> list[str]:
    """What is put into a text, in the three ways of Python; what follows it is no matter."""
    named = [name for _, name, _, _ in Formatter().parse(text.replace("{}", "")) if name] if "{" in text else []
    return sorted([*re.findall(r"%\(\w+\)[sd]|%[sd]", text), *named])


@pytest.mark.parametrize("app", APPS)
def test_every_text_of_the_source_is_in_the_catalogue_and_no_other(app):
    assert set(catalogue_of(app)) == texts_of(app), "Run `make messages`, and translate what is new."


@pytest.mark.parametrize("app", APPS)
def test_every_text_is_translated_with_the_same_places(app):
    for text, german in catalogue_of(app).items():
        assert len(german) == len(text)
        assert all(german), f"{text} is not translated."
        assert [places(one) for one in german] == [places(one) for one in text], text


@pytest.mark.parametrize("app", APPS)
def test_compiled_catalogue_is_that_of_the_written_one(app):
    assert read_compiled(app) == catalogue_of(app), "Run `make messages`."


def test_source_is_read_as_gettext_reads_it():
    python = 'x = _("one" " two"); y = ngettext("%d row", "%d rows", n); z = other("no")'
    template = """{% load i18n %}{% translate "it's" %} {% blocktranslate count n=rows %}{{ n }} row{% plural %}
        {{ n }} rows{% endblocktranslate %}{% include "x.html" with label=_("Label") %}"""

    assert set(texts_of_python(python)) == {("one two",), ("%d row", "%d rows")}
    assert {text[0] for text in texts_of_template(template)} == {"it's", "%(n)s row", "Label"}


@pytest.mark.django_db
@pytest.mark.parametrize(("chosen", "heading"), [("de", "Übersicht"), ("en", "Dashboard"), ("xx", "Dashboard")])
def test_language_is_the_persons_choice(chosen, heading, alice, client_of):
    client = client_of(alice)

    client.post(reverse("set_language"), {"language": chosen, "next": "/admin/"}, secure=True)

    assert f"<h1>{heading}</h1>" in client.get(reverse("admin:index"), secure=True).text


@pytest.mark.django_db
def test_language_is_the_browsers_where_the_person_chose_none(alice, client_of):
    make_customer()
    make_exhibition()

    response = client_of(alice).get(
        reverse("admin:customers_customer_changelist"), headers={"accept-language": "de-AT,de;q=0.9"}, secure=True
    )

    assert (response.headers["Content-Language"], '<html lang="de"' in response.text) == ("de", True)
    assert "Kunde zur Änderung auswählen" in response.text
