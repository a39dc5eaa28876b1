import secrets

from django.db import transaction

from core_apps.accounts.models import User


@transaction.atomic
def create_first_administrator(*, email: str) -> str | None:
    """Creates a superuser if there is none; returns the generated password, or None."""
    if User.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(15)
    User.objects.create_superuser(email, password)
    return password
