from typing import Any

import pytest
from django.db import connection

from core_apps.accounts.models import User


@pytest.fixture
def browser(alice, client_of) -> Any:
    return client_of(alice)


@pytest.fixture
def crowd(alice) -> list[User]:
    """Sixteen with Alice; all joined when she did, and some share a name."""
    names = (f"Person {number % 4}" for number in range(15))
    people = [
        User(email=f"p{n:02}@example.com", name=name, date_joined=alice.date_joined) for n, name in enumerate(names)
    ]
    return [alice, *User.objects.bulk_create(people)]


@pytest.fixture
def multitude(alice) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (email, name, password, is_staff, is_superuser, is_active, date_joined)"
            " SELECT n || '@example.com', 'Many', '', false, false, n % 100 > 0, now() FROM generate_series(1, 31000) n"
        )
        cursor.execute("ANALYZE accounts_user")
