from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0009_roles"),)
    operations = (
        AddIndexConcurrently("visit", models.Index(fields=("exhibition", "customer"), name="visit_by_exhibition_met")),
    )
