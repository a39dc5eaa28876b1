from datetime import UTC, date, datetime

from django.db import migrations, models
from django.db.models import Q
from django.utils import timezone

from customers.models import rules

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Migration(migrations.Migration):
    dependencies = (("customers", "0001_initial"),)

    operations = (
        migrations.AlterField(
            "exhibition", "starts_on", models.DateField("first day", validators=[rules.validate_date])
        ),
        migrations.AlterField("exhibition", "ends_on", models.DateField("last day", validators=[rules.validate_date])),
        migrations.AlterField(
            "visit",
            "visited_at",
            models.DateTimeField("visited at", default=timezone.now, validators=[rules.validate_past]),
        ),
        migrations.AlterField("followup", "due_at", models.DateTimeField("due", validators=[rules.validate_date])),
        migrations.AlterField(
            "followup",
            "completed_at",
            models.DateTimeField("completed", blank=True, null=True, validators=[rules.validate_past]),
        ),
        migrations.AddConstraint(
            "exhibition",
            models.CheckConstraint(
                name="exhibition_days_in_range",
                condition=Q(starts_on__gte=date(1970, 1, 1), ends_on__lt=date(2200, 1, 1)),
                violation_error_message="The years of an exhibition are between 1970 and 2199.",
            ),
        ),
        migrations.AddConstraint(
            "visit",
            models.CheckConstraint(
                name="visit_visited_at_in_range", condition=Q(visited_at__gte=EARLIEST, visited_at__lt=LATEST)
            ),
        ),
        migrations.AddConstraint(
            "followup",
            models.CheckConstraint(
                name="follow_up_due_at_in_range", condition=Q(due_at__gte=EARLIEST, due_at__lt=LATEST)
            ),
        ),
        migrations.AddConstraint(
            "followup",
            models.CheckConstraint(
                name="follow_up_completed_at_in_range",
                condition=Q(completed_at__gte=EARLIEST, completed_at__lt=LATEST),
            ),
        ),
    )
