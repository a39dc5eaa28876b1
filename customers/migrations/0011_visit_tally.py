from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0010_visit_by_exhibition_met"),)
    operations = (
        AddIndexConcurrently(
            "visit",
            models.Index(
                fields=("exhibition",), include=("id", "visited_at", "grade", "captured_by"), name="visit_tally"
            ),
        ),
    )
