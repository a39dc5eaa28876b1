import pytest
from django.core.management import CommandError, call_command

from core_apps.history.models import Change, RowChange
from customers.importing import COMPANIES, CUSTOMERS, Options, import_file
from customers.models import Company, Customer
from customers.tests.factories import make_company, make_customer, make_visit

pytestmark = pytest.mark.django_db

HEADER = "given_name,family_name,email,phone,company,country\n"


@pytest.fixture
def ingrid(db) -> Customer:
    return make_customer(phone="+47 22 11 22 33", country="NO")


@pytest.fixture
def import_list(tmp_path):
    """Import a file, and return the change."""

    def run(*lines: str, kind=CUSTOMERS, header: str = HEADER) -> Change:
        file = tmp_path / "old.csv"
        file.write_text(header + "\n".join(lines))
        import_file(file, kind, Options())
        return Change.objects.latest("pk")

    return run


def revert(change: Change, capsys) -> str:
    call_command("revert_import", str(change.pk))
    return "".join(capsys.readouterr())


def test_old_list_that_overwrote_a_phone_number_is_found_and_reverted(ingrid, import_list, capsys):
    change = import_list("Ingrid,Haugen,ingrid@nordlys.example,+47 99 88 77 66,,NO")

    call_command("revert_import")
    assert f"{change.pk}" in (listed := capsys.readouterr().out)
    assert "Import (old.csv)" in listed
    assert revert(change, capsys) == "Restored 1, deleted 0, left as they are 0.\n"

    found = Customer.objects.get()
    assert (found.phone, found.phone_e164) == ("+47 22 11 22 33", "+4722112233")
    last = RowChange.objects.of(ingrid)[0]
    assert (str(last.change), (last.after or {})["phone"]) == (
        f"Import reverted ({change.pk} old.csv)",
        "+47 22 11 22 33",
    )


def test_added_customers_and_their_companies_are_deleted(ingrid, import_list, capsys):
    change = import_list("Jonas,Brandt,jonas@new.example,,New Company,DE", "Mia,Lie,mia@new.example,,New Company,NO")

    assert revert(change, capsys) == "Restored 0, deleted 3, left as they are 0.\n"

    assert (list(Customer.objects.all()), Company.objects.count()) == ([ingrid], 0)


def test_row_edited_since_is_left_and_reported(ingrid, import_list, capsys):
    change = import_list("Ingrid,Haugen,ingrid@nordlys.example,+47 99 88 77 66,,NO")
    Customer.objects.update(job_title="Buyer")

    report = revert(change, capsys)

    assert f"Left as it is, changed or used since: customer {ingrid.pk}: Ingrid Haugen" in report
    assert "Restored 0, deleted 0, left as they are 1." in report
    assert Customer.objects.get().phone == "+47 99 88 77 66"


def test_added_customer_with_a_later_visit_stays_with_the_company(import_list, capsys):
    change = import_list("Jonas,Brandt,jonas@new.example,,New Company,DE")
    make_visit(customer=Customer.objects.get())

    report = revert(change, capsys)

    assert "Restored 0, deleted 0, left as they are 2." in report
    assert (Customer.objects.count(), Company.objects.count()) == (1, 1)


def test_customer_whose_earlier_company_was_deleted_is_left_and_reported(ingrid, import_list, capsys):
    ingrid.company = make_company()
    ingrid.save()
    lines = ("Ingrid,Haugen,ingrid@nordlys.example,,Fjord,NO", "Mia,Lie,mia@new.example,,,NO")
    change = import_list(*lines)
    Company.objects.exclude(name="Fjord").delete()

    said = revert(change, capsys)

    assert said.startswith("Restored 0, deleted 1, left as they are ")
    assert f"customer {ingrid.pk}: {ingrid}" in said
    assert Customer.objects.get().company == Company.objects.get(name="Fjord")


def test_import_is_reverted_once(ingrid, import_list, capsys):
    change = import_list("Ingrid,Haugen,ingrid@nordlys.example,+47 99 88 77 66,,NO")
    revert(change, capsys)
    count = RowChange.objects.count()

    assert revert(change, capsys).startswith("Already reverted at ")
    assert RowChange.objects.count() == count


def test_companies_are_taken_back(import_list, capsys):
    make_company(industry="Lighting")
    lines = ("Nordlys Lighting,nordlys.example,Lamps", "Ohm,ohm.example,Lamps")
    change = import_list(*lines, kind=COMPANIES, header="name,domain,industry\n")

    assert revert(change, capsys) == "Restored 1, deleted 1, left as they are 0.\n"

    assert list(Company.objects.values_list("name", "industry")) == [("Nordlys Lighting", "Lighting")]


def test_unknown_import_is_refused(ingrid):
    with pytest.raises(CommandError, match=r"There is no import 4711\."):
        call_command("revert_import", "4711")
