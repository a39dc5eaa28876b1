"""Fixtures of the domain's tests."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from core_apps.accounts.models import User
from core_apps.common.time_zones import get_known_zones
from customers.models import Exhibition, Tag
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    """Fill the caches of the process, so that query counts do not depend on the order of the tests."""
    with django_db_blocker.unblock():
        get_known_zones()


@pytest.fixture
def media(settings, tmp_path) -> None:
    """An empty place for uploaded files: in the bucket that the environment names, or on the disk."""
    settings.MEDIA_ROOT = tmp_path / "media"
    if settings.MEDIA_BUCKET:
        bucket = settings.STORAGES["default"]
        options = bucket["OPTIONS"] | {"location": uuid4().hex}
        settings.STORAGES = settings.STORAGES | {"default": bucket | {"OPTIONS": options}}


@pytest.fixture
def carol(member_of: Callable[..., User]) -> User:
    return member_of("Manager", name="Carol")


@pytest.fixture
def exhibition(db) -> Exhibition:
    return make_exhibition()


@pytest.fixture
def rows(exhibition) -> dict[str, object]:
    """One of each kind, of this exhibition."""
    visit = make_visit(exhibition=exhibition, customer=make_customer(company=make_company()))
    follow_up, tag = make_follow_up(visit=visit), Tag.objects.create(name="VIP")
    own = {"customer": visit.customer, "company": visit.customer.company, "exhibition": exhibition}
    return own | {"visit": visit, "followup": follow_up, "tag": tag}
