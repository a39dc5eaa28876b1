import pytest
from django.urls import reverse

from customers.models import Customer
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit

pytestmark = pytest.mark.django_db

ADD = "admin:customers_customer_add"
REST = {"stage": "lead", "source": "stand"}


@pytest.fixture
def ingrid() -> Customer:
    return make_customer(phone="+47 22 12 34 56", company=make_company())


@pytest.mark.parametrize(
    "form",
    [
        {"family_name": "Other", "email": "Ingrid@Nordlys.example"},
        {"family_name": "Other", "phone": "+47 22123456"},
        {"family_name": "Other", "phone": "22 12 34 56", "country": "NO"},
        {"given_name": "Haugen", "family_name": "Ingrid", "company": "same"},
        {"given_name": "Ingrid", "family_name": "Häugen", "company": "same"},
        {"given_name": "Ingrit", "family_name": "Haugen", "company": "same"},
    ],
)
def test_possible_duplicate_is_shown_before_a_customer_is_added(form, ingrid, bob, client_of):
    values = REST | form | ({"company": ingrid.company_id} if "company" in form else {})

    response = client_of(bob).post(reverse(ADD), values, secure=True)

    link = f'<a href="{reverse("admin:customers_customer_change", args=[ingrid.pk])}">Ingrid Haugen</a>'
    (shown,) = response.context["adminform"].form.non_field_errors()
    assert (link in shown, Customer.objects.count()) == (True, 1)


def test_customer_is_added_all_the_same_when_the_person_says_so(ingrid, bob, client_of):
    form = REST | {"given_name": "Ingrid", "family_name": "Haugen", "email": ingrid.email, "create_anyway": "1"}

    client_of(bob).post(reverse(ADD), form, secure=True)

    assert Customer.objects.filter(email=ingrid.email).count() == 2


@pytest.mark.parametrize(
    "form",
    [
        {"given_name": "Ingrid", "family_name": "Haugen"},
        {"given_name": "Jonas", "family_name": "Brandt", "company": "same"},
        {"given_name": "Ingrid", "family_name": "Haugen", "company": "another"},
    ],
)
def test_customer_without_duplicate_is_added(form, ingrid, bob, client_of):
    companies = {"same": ingrid.company_id, "another": make_company(domain="other.example").pk}
    values = {key: companies.get(value, value) for key, value in form.items()}

    client_of(bob).post(reverse(ADD), REST | values, secure=True)

    assert Customer.objects.count() == 2


def test_customer_is_not_like_itself(ingrid):
    assert list(Customer.objects.similar_to(ingrid)) == []


def test_warning_tells_stand_staff_nothing_of_other_exhibitions(ingrid, member_of, client_of):
    make_visit(customer=ingrid)
    person = member_of("Stand staff", make_exhibition(edition="2027"))

    client_of(person).post(reverse(ADD), REST | {"family_name": "Other", "email": ingrid.email}, secure=True)

    assert Customer.objects.filter(email=ingrid.email).count() == 2


def test_changed_customer_is_not_asked_about(ingrid, bob, client_of):
    other = make_customer(given_name="Jonas")
    page = reverse("admin:customers_customer_change", args=[other.pk])

    client_of(bob).post(page, REST | {"family_name": "Brandt", "email": ingrid.email}, secure=True)

    other.refresh_from_db()
    assert other.family_name == "Brandt"
