from datetime import timedelta

from django.utils import timezone

from core_apps.operations.measurements import count_recent, measure
from customers.models import FileImport, FollowUp, Visit
from customers.querysets import is_contacted

SECONDS = 60  # as the figures are read by people
RECENT = timedelta(days=14)


@measure("visits_today", "Visits since midnight in the team's time zone", seconds=SECONDS)
def count_visits() -> dict[str, float]:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return {"": Visit.objects.filter(visited_at__gte=midnight).count()}


@measure("follow_ups_overdue", "Open follow-ups whose time has passed", seconds=SECONDS)
def count_overdue() -> dict[str, float]:
    return {"": FollowUp.objects.overdue_at(timezone.now()).count()}


@measure("leads_uncontacted", "Visits of the last 14 days with grade A, without a contact since", seconds=SECONDS)
def count_uncontacted() -> dict[str, float]:
    recent = Visit.objects.filter(grade=Visit.Grade.A, visited_at__gte=timezone.now() - RECENT)
    return {"": recent.filter(~is_contacted()).count()}


@measure("imports", "Imports of the last 24 hours", label="state", seconds=SECONDS)
def count_imports() -> dict[str, float]:
    return count_recent(FileImport.objects.all(), FileImport.State)
