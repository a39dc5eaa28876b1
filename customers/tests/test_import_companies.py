import pytest

from customers.importing import COMPANIES, Mode, Options
from customers.models import Company
from customers.tests.factories import make_company
from customers.tests.import_files import import_text, outcome, rejects

pytestmark = pytest.mark.django_db


def stored() -> list[tuple[str, ...]]:
    return list(Company.objects.order_by("pk").values_list("name", "domain", "country", "industry", "website"))


def test_company_with_all_fields_is_created(tmp_path):
    report = import_text(
        COMPANIES,
        tmp_path,
        "name,domain,country,industry,website\nNordlys,Nordlys.Example,Norway,Lighting,https://nordlys.example/\n",
    )

    assert outcome(report) == (1, 0, 0, 0, 0)
    assert stored() == [("Nordlys", "nordlys.example", "NO", "Lighting", "https://nordlys.example/")]


def test_company_is_identified_by_its_domain_not_its_name(tmp_path):
    make_company(name="Nordlys Lighting", domain="nordlys.example", country="NO")

    report = import_text(COMPANIES, tmp_path, "name,domain\nNordlys AS,NORDLYS.example\n")

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert stored() == [("Nordlys AS", "nordlys.example", "NO", "", "")]


def test_company_without_domain_is_identified_by_name_and_country(tmp_path):
    make_company(name="Straße & Söhne", domain="", country="DE")
    make_company(name="Straße & Söhne", domain="strasse.example", country="DE")

    report = import_text(
        COMPANIES, tmp_path, "name,country,industry\nSTRAßE & SÖHNE,de,Roads\nStraße & Söhne,Austria,Roads\n"
    )

    assert outcome(report) == (1, 1, 0, 0, 0)
    assert stored() == [
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
    assert stored() == [("Nordlys Lighting", "nordlys.example", "NO", "Lighting", "https://new.example/")]


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
    assert [name for name, *_ in stored()] == names


def test_row_with_a_key_of_an_earlier_row_is_rejected(tmp_path):
    report = import_text(
        COMPANIES,
        tmp_path,
        "name,domain,country\nNordlys,nordlys.example,NO\nFjord,,NO\nNordlys AS,Nordlys.Example,SE\nFJORD,,Norway\n",
    )

    assert outcome(report) == (2, 0, 0, 0, 2)
    assert rejects(report) == [
        (4, "domain", "Nordlys.Example", "Line 2 has the same web domain."),
        (5, "name", "FJORD", "Line 3 has the same name and country."),
    ]


def test_row_with_a_key_of_a_row_in_an_earlier_batch_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("customers.importing.service.MAX_ROWS", 2)

    report = import_text(COMPANIES, tmp_path, "name\nA\nB\nC\nD\nb\n")

    assert outcome(report) == (4, 0, 0, 0, 1)
    assert rejects(report) == [(6, "name", "b", "Line 3 has the same name and country.")]


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
        (3, "web domain", "nordlys", "“nordlys” is not a web domain such as example.com."),
        (3, "Country", "Atlantis", "“Atlantis” is not a country code."),
        (3, "website", "ftp://nordlys.example", "Enter a valid URL."),
        (4, "Company name", "x" * 79 + "…", "Ensure this value has at most 200 characters (it has 201)."),
    ]
    assert stored() == []


def test_row_that_only_the_database_rejects_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(Company._meta.get_field("website"), "validators", [])
    rows = [f"Company {number},https://c{number}.example/" for number in range(20)]
    rows[13] = "Company 13,ftp://c13.example/"

    report = import_text(COMPANIES, tmp_path, "\n".join(["name,website", *rows]))

    assert outcome(report) == (19, 0, 0, 0, 1)
    assert rejects(report) == [(15, "", "", "Constraint “company_website_is_a_web_address” is violated.")]
    assert len(stored()) == 19


@pytest.mark.parametrize("cells", ["Fjord", "Fjord,NO,fjord.example,more"])
def test_row_with_too_few_or_too_many_cells_is_rejected(cells, tmp_path):
    report = import_text(COMPANIES, tmp_path, f"name,country,domain\n{cells}\nNordlys,NO,nordlys.example,,\n")

    count = len(cells.split(","))
    assert rejects(report) == [(2, "", "", f"The row has {count} cells, the header has 3.")]
    assert stored() == [("Nordlys", "nordlys.example", "NO", "", "")]


def test_country_code_column_wins_over_country(tmp_path):
    import_text(COMPANIES, tmp_path, "name,country,country_code\nA,Norway,SE\nB,Norway,\n")

    assert [(name, country) for name, _, country, *_ in stored()] == [("A", "SE"), ("B", "NO")]


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
    assert stored() == [("Nordlys", "nordlys.example", "", "Lighting", ""), ("Fjord", "fjord.example", "", "", "")]
