from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0018_visit_by_public_id"),)
    operations = (
        AddIndexConcurrently(
            "followup",
            models.Index(
                fields=("due_at", "id"),
                include=("customer", "visit", "assignee"),
                name="follow_up_open_by_due",
                condition=models.Q(completed_at=None),
            ),
        ),
    )
