from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0014_company_by_public_id"),)
    operations = (
        AddIndexConcurrently("exhibition", models.Index(fields=("public_id",), name="exhibition_by_public_id")),
    )
