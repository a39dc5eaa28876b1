from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0016_follow_up_by_public_id"),)
    operations = (AddIndexConcurrently("tag", models.Index(fields=("public_id",), name="tag_by_public_id")),)
