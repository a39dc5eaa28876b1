from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0005_customer_by_photo"),)
    operations = (
        AddIndexConcurrently(
            "customer",
            models.Index(
                fields=("-archived_at",), name="customer_archived", condition=models.Q(archived_at__isnull=False)
            ),
        ),
    )
