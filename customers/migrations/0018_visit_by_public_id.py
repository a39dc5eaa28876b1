from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0017_tag_by_public_id"),)
    operations = (AddIndexConcurrently("visit", models.Index(fields=("public_id",), name="visit_by_public_id")),)
