import pytest

from customers.importing import COMPANIES, Mode, Options
from customers.models import Company
from customers.tests.factories import make_company
from customers.tests.import_files import import_text, omissions, outcome, rejects

pytestmark = pytest.mark.django_db


def read_companies() -> list[tuple[str, ...]]:
    return list(Company.objects.order_by("pk").values_list("name", "domain", "country", "industry", "website"))


def test_company_with_all_fields_is_created(tmp_path):
    report = import_text(
        COMPANIES,
        tmp_path,
        "name,domain,country,industry,website\nNordlys,Nordlys.Example,Norway,Lighting,https://nordlys.example/\n",
    )

    assert outcome(report) == (1, 0, 0, 0, 0)
    assert read_companies() == [("Nordlys", "nordlys.example", "NO", "Lighting", "https://nordlys.example/")]


def test_company_is_identified_by_its_domain_not_its_name(tmp_path):
    make_company(name="Nordlys Lighting", domain="nordlys.example", country="NO")

    report = import_text(COMPANIES, tmp_path, "name,domain\nNordlys AS,NORDLYS.example\n")

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert read_companies() == [("Nordlys AS", "nordlys.example", "NO", "", "")]


def test_company_without_domain_is_identified_by_name_and_country(tmp_path):
    make_company(name="Straße & Söhne", domain="", country="DE")
    make_company(name="Straße & Söhne", domain="strasse.example", country="DE")

    report = import_text(
        COMPANIES, tmp_path, "name,country,industry\nSTRAßE & SÖHNE,de,Roads\nStraße & Söhne,Austria,Roads\n"
    )

    assert outcome(report) == (1, 1, 0, 0, 0)
    assert read_companies() == [
        ("STRAßE & SÖHNE", "", "DE", "Roads", ""),
        ("Straße & Söhne", "strasse.example", "DE", "", ""),
        ("Straße & Söhne", "", "AT", "Roads", ""),
    ]


def test_blank_cell_leaves_the_value_that_is_there(tmp_path):
    make_company(industry="Lighting", website="https://nordlys.example/")

    report = import_text(
        COMPANIES, tmp_path, "name,domain,industry,website\nNordlys Lighting,nordlys.example, ,https://new.example/\n"
    )

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert read_companies() == [("Nordlys Lighting", "nordlys.example", "NO", "Lighting", "https://new.example/")]


def test_second_run_changes_nothing(tmp_path):
    text = "name,domain,country\nNordlys,nordlys.example,NO\nFjord,,NO\n"
    import_text(COMPANIES, tmp_path, text)
    before = list(Company.objects.order_by("pk").values())

    report = import_text(COMPANIES, tmp_path, text)

    assert outcome(report) == (0, 0, 2, 0, 0)
    assert list(Company.objects.order_by("pk").values()) == before


def test_update_touches_only_rows_that_differ(tmp_path):
    same = make_company()
    other = make_company(name="Fjord", domain="fjord.example")

    report = import_text(
        COMPANIES, tmp_path, "name,domain\nNordlys Lighting,nordlys.example\nFjord Fisk,fjord.example\n"
    )

    assert outcome(report) == (0, 1, 1, 0, 0)
    assert Company.objects.get(pk=same.pk).updated_at == same.updated_at
    assert Company.objects.get(pk=other.pk).updated_at > other.updated_at
    assert Company.objects.get(pk=other.pk).created_at == other.created_at


@pytest.mark.parametrize(
    ("mode", "counts", "names"),
    [
        (Mode.BOTH, (1, 1, 0, 0, 0), ["Nordlys AS", "Fjord"]),
        (Mode.CREATE, (1, 0, 0, 1, 0), ["Nordlys Lighting", "Fjord"]),
        (Mode.UPDATE, (0, 1, 0, 1, 0), ["Nordlys AS"]),
    ],
)
def test_mode_skips_the_rows_that_would_do_the_other_thing(mode, counts, names, tmp_path):
    make_company()

    report = import_text(
        COMPANIES,
        tmp_path,
        "name,domain\nNordlys AS,nordlys.example\nFjord,fjord.example\n",
        Options(mode=mode),
    )

    assert outcome(report) == counts
    assert [name for name, *_ in read_companies()] == names


REPEATS = (
    "name,domain,country,industry\n"
    "Nordlys,nordlys.example,,\n"
    "Fjord,,NO,\n"
    "Nordlys AS,WWW.Nordlys.Example,SE,\n"
    "FJORD,,Norway,Fish\n"
    "Nordlys,nordlys.example,DK,Lighting\n"
)


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_same_company_again_fills_blanks_in_any_batch(batch, tmp_path, monkeypatch):
    monkeypatch.setattr("customers.importing.service.MAX_ROWS", batch)

    report = import_text(COMPANIES, tmp_path, REPEATS)

    assert (outcome(report), report.repeated) == ((2, 0, 0, 0, 0), 3)
    assert report.repeats == [(4, 2), (5, 3), (6, 2)]
    assert read_companies() == [
        ("Nordlys", "nordlys.example", "SE", "Lighting", ""),
        ("Fjord", "", "NO", "Fish", ""),
    ]
    again = import_text(COMPANIES, tmp_path, REPEATS)
    assert (outcome(again), again.repeated) == ((0, 0, 2, 0, 0), 3)


@pytest.mark.parametrize("batch", [1, 100])
def test_same_company_again_does_not_change_what_the_record_has(batch, tmp_path, monkeypatch):
    monkeypatch.setattr("customers.importing.service.MAX_ROWS", batch)
    make_company(name="Nordlys", domain="nordlys.example", country="NO", industry="")

    report = import_text(COMPANIES, tmp_path, REPEATS)

    assert report.repeated == 3
    assert read_companies()[0] == ("Nordlys", "nordlys.example", "NO", "Lighting", "")


@pytest.mark.parametrize("batch", [1, 100])
def test_repeats_of_skipped_rows_are_skipped(batch, tmp_path, monkeypatch):
    monkeypatch.setattr("customers.importing.service.MAX_ROWS", batch)
    make_company(name="Nordlys", domain="nordlys.example", country="NO", industry="")

    created = import_text(COMPANIES, tmp_path, REPEATS, Options(mode=Mode.CREATE))
    updated = import_text(COMPANIES, tmp_path, f"{REPEATS}New,,NO,\nNew,,NO,Art\n", Options(mode=Mode.UPDATE))

    assert (outcome(created), created.repeated) == ((1, 0, 0, 3, 0), 1)
    assert (updated.skipped, updated.created, updated.repeated) == (2, 0, 3)


def test_strict_import_rejects_repeats(tmp_path):
    report = import_text(COMPANIES, tmp_path, REPEATS, Options(strict=True))

    assert rejects(report) == [
        (4, "domain", "WWW.Nordlys.Example", "Line 2 has the same web domain."),
        (5, "name", "FJORD", "Line 3 has the same name and country."),
        (6, "domain", "nordlys.example", "Line 2 has the same web domain."),
    ]
    assert read_companies() == []


@pytest.mark.parametrize(
    "domain",
    [
        "bücher.example",
        "www.bücher.example",
        "https://www.Bücher.example/de?x=1",
        "XN--BCHER-KVA.example",
        "BÜCHER.EXAMPLE.",
    ],
)
def test_company_is_found_by_any_spelling_of_its_domain(domain, tmp_path):
    make_company(name="Bücher", domain="bücher.example", country="")

    report = import_text(COMPANIES, tmp_path, f"name,domain\nBücher,{domain}\n")

    assert (outcome(report), report.omissions) == ((0, 0, 1, 0, 0), [])


@pytest.mark.parametrize(
    ("cell", "stored"),
    [
        ("www.nordlys.example", "https://www.nordlys.example"),
        ("nordlys.example/en", "https://nordlys.example/en"),
        ("HTTP://NORDLYS.EXAMPLE", "HTTP://NORDLYS.EXAMPLE"),
        ("https://nordlys.example/", "https://nordlys.example/"),
        ("//nordlys.example", "https://nordlys.example"),
    ],
)
def test_website_gets_the_scheme_that_the_form_adds(cell, stored, tmp_path):
    report = import_text(COMPANIES, tmp_path, f"name,website\nNordlys,{cell}\n")

    assert (outcome(report), report.left_out) == ((1, 0, 0, 0, 0), 0)
    assert [website for *_, website in read_companies()] == [stored]


def test_row_problems_are_all_reported_with_column_and_value(tmp_path):
    report = import_text(
        COMPANIES,
        tmp_path,
        "Company name,web domain,Country,website\n"
        ",nordlys.example,NO,\n"
        "Nordlys,nordlys,Atlantis,ftp://nordlys.example\n"
        f"{'x' * 201},,,\n",
    )

    assert rejects(report) == [
        (2, "Company name", "", "This field cannot be blank."),
        (4, "Company name", "x" * 79 + "…", "Ensure this value has at most 200 characters (it has 201)."),
    ]
    assert omissions(report) == [
        (3, "web domain", "nordlys", "“nordlys” is not a web domain such as example.com."),
        (3, "Country", "Atlantis", "“Atlantis” is not a country code."),
        (3, "website", "ftp://nordlys.example", "Enter a valid URL."),
    ]
    assert (outcome(report), report.left_out) == ((1, 0, 0, 0, 2), 3)
    assert read_companies() == [("Nordlys", "", "", "", "")]


@pytest.mark.parametrize("website", ["n/a", "-", "htp://nordlys.example", "http:/nordlys", "siehe Katalog"])
def test_website_that_is_no_good_costs_itself_alone(website, tmp_path):
    text = f"name,website\nNordlys,{website}\n"

    assert rejects(import_text(COMPANIES, tmp_path, text, Options(strict=True)))[0][:3] == (2, "website", website)
    assert omissions(import_text(COMPANIES, tmp_path, text))[0][:3] == (2, "website", website)
    assert read_companies() == [("Nordlys", "", "", "", "")]


def test_row_that_only_the_database_rejects_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(Company._meta.get_field("website"), "validators", [])
    rows = [f"Company {number},https://c{number}.example/" for number in range(20)]
    rows[13] = "Company 13,ftp://c13.example/"

    report = import_text(COMPANIES, tmp_path, "\n".join(["name,website", *rows]))

    assert outcome(report) == (19, 0, 0, 0, 1)
    assert rejects(report) == [(15, "", "", "Constraint “company_website_is_a_web_address” is violated.")]
    assert len(read_companies()) == 19


def test_row_that_ends_early_has_blanks_and_one_with_more_cells_is_rejected(tmp_path):
    report = import_text(
        COMPANIES,
        tmp_path,
        "name,country,domain\nFjord\nVik,NO\nBerg,Oslo,NO,berg.example\nNordlys,NO,nordlys.example,,\n",
    )

    reason = "The row has 4 cells, the header has 3. Is a cell with a delimiter not quoted?"
    assert rejects(report) == [(4, "", "", reason)]
    assert read_companies() == [
        ("Fjord", "", "", "", ""),
        ("Vik", "", "NO", "", ""),
        ("Nordlys", "nordlys.example", "NO", "", ""),
    ]


def test_country_code_column_wins_over_country(tmp_path):
    import_text(COMPANIES, tmp_path, "name,country,country_code\nA,Norway,SE\nB,Norway,\n")

    assert [(name, country) for name, _, country, *_ in read_companies()] == [("A", "SE"), ("B", "NO")]


def test_blank_lines_and_rows_of_blank_cells_are_no_rows(tmp_path):
    report = import_text(COMPANIES, tmp_path, "\nname,country\n\nNordlys,NO\n,\n\n")

    assert outcome(report) == (1, 0, 0, 0, 0)


def test_field_with_a_database_default_is_imported(tmp_path, monkeypatch):
    industry = Company._meta.get_field("industry")
    industry.get_default()  # which the field then keeps
    monkeypatch.setattr(industry, "db_default", "")
    monkeypatch.delitem(vars(industry), "_get_default")

    text = "name,domain,industry\nNordlys,nordlys.example,Lighting\nFjord,fjord.example,\n"
    first, second = (import_text(COMPANIES, tmp_path, text) for _ in range(2))

    assert (outcome(first), outcome(second)) == ((2, 0, 0, 0, 0), (0, 0, 2, 0, 0))
    assert read_companies() == [
        ("Nordlys", "nordlys.example", "", "Lighting", ""),
        ("Fjord", "fjord.example", "", "", ""),
    ]
