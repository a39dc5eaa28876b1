import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from core_apps.accounts.models import ApiToken, User, token_digest
from core_apps.accounts.scopes import Scope

EMAIL = "prometheus@localhost"
LIFETIME = timedelta(days=3650)  # `make obs-up` begins it anew
SHORTEST = 40  # characters, as the token is not hashed slowly


class Command(BaseCommand):
    help = (
        "Creates the account by which Prometheus asks the API, and which may do nothing; its token is read from stdin."
    )

    @transaction.atomic
    def handle(self, **_options: Any) -> None:
        token = sys.stdin.read().strip()
        if len(token) < SHORTEST:
            raise CommandError(f"MONITORING_TOKEN has {len(token)} characters: it needs {SHORTEST} random ones.")
        user = User.objects.filter(email=EMAIL).first() or User.objects.create_user(
            EMAIL, name="Prometheus", daily_digest=False
        )
        values = {
            "digest": token_digest(token),
            "prefix": token[: ApiToken.PREFIX_LENGTH],
            "scopes": [Scope.READ],
            "expiry": timezone.now() + LIFETIME,
        }
        ApiToken.objects.update_or_create(user=user, name="Prometheus", defaults=values)
