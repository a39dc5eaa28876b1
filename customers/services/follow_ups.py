from datetime import datetime

from django.db.models import BigIntegerField, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from core_apps.accounts.models import User
from customers.models import FollowUp


def complete_follow_ups(follow_ups: QuerySet[FollowUp], user: User, at: datetime | None = None) -> int:
    """Complete the open follow-ups, assign unassigned ones to the user, and return how many were open."""
    moment = at or timezone.now()
    assignee = Coalesce("assignee_id", user.pk, output_field=BigIntegerField())
    return follow_ups.filter(completed_at=None).update(completed_at=moment, assignee=assignee, updated_at=moment)


def assign_follow_ups(follow_ups: QuerySet[FollowUp], user: User) -> int:
    """Assign the open follow-ups to the user, and return how many there were."""
    return follow_ups.filter(completed_at=None).update(assignee=user, updated_at=timezone.now())
