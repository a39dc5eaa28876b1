from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0015_exhibition_by_public_id"),)
    operations = (AddIndexConcurrently("followup", models.Index(fields=("public_id",), name="follow_up_by_public_id")),)
