from django.db.models import BigIntegerField, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from core_apps.accounts.models import User
from customers.models import FollowUp


def complete_follow_ups(follow_ups: QuerySet[FollowUp], user: User, outcome: str = "") -> int:
    """Complete the open follow-ups, assign unassigned ones to the user, and return how many were open."""
    now = timezone.now()
    assignee = Coalesce("assignee_id", user.pk, output_field=BigIntegerField())
    return follow_ups.filter(completed_at=None).update(
        completed_at=now, outcome=outcome, assignee=assignee, updated_at=now
    )


def assign_follow_ups(follow_ups: QuerySet[FollowUp], user: User) -> int:
    """Assign the open follow-ups to the user, and return how many there were."""
    return follow_ups.filter(completed_at=None).update(assignee=user, updated_at=timezone.now())
