from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = (("customers", "0002_date_ranges"),)

    operations = (
        AddIndexConcurrently(
            "followup", models.Index(fields=("customer", "completed_at"), name="follow_up_by_completed")
        ),
    )
