import pytest

from config.rename import DATABASE, find_invalid_arguments, replace_names


@pytest.mark.parametrize(
    ("title", "slug", "named"),
    [
        ("Acme Leads", "acme-leads", []),
        ("Messebüro 2.0", "a1-b2", []),
        ("", "acme", ["NAME=''"]),
        ("2 Acme", "acme", ["NAME='2 Acme'"]),
        ("Acme <b>", "acme", ["NAME='Acme <b>'"]),
        ("Acme\n", "acme", ["NAME='Acme\\n'"]),
        ("A" * 31, "acme", [f"NAME='{'A' * 31}'"]),
        ("Acme", "", ["SLUG=''"]),
        ("Acme", "Acme", ["SLUG='Acme'"]),
        ("Acme", "acme_leads", ["SLUG='acme_leads'"]),
        ("Acme", "acme-", ["SLUG='acme-'"]),
        ("Acme", "a" * 31, [f"SLUG='{'a' * 31}'"]),
        ("Acme", "postgres", ["SLUG='postgres'"]),
        ("Acme", "pg-leads", ["SLUG='pg-leads'"]),
        ("", "", ["NAME=''", "SLUG=''"]),
    ],
)
def test_invalid_names_are_refused(title, slug, named):
    assert [error.split(" is not ")[0] for error in find_invalid_arguments(title, slug)] == named


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("docker-compose.yml", f"postgresql://{DATABASE}:x@db/{DATABASE}", "postgresql://acme_leads:x@db/acme_leads"),
        ("Makefile", f"psql -U {DATABASE} $(ARGS)", "psql -U acme_leads $(ARGS)"),
        ("docs/api.md", f'"{DATABASE}": ""', f'"{DATABASE}": ""'),
        ("docker-compose.yml", f"# of all {DATABASE}s", f"# of all {DATABASE}s"),
    ],
)
def test_exhibitions_of_the_domain_keep_their_name(path, text, expected):
    assert replace_names(text, path, "Acme Leads", "acme-leads") == expected
