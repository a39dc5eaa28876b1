from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0013_fill_public_ids"),)
    operations = (AddIndexConcurrently("company", models.Index(fields=("public_id",), name="company_by_public_id")),)
