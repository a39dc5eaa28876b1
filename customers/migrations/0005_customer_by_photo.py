from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0004_fill_search_text"),)
    operations = (
        AddIndexConcurrently(
            "customer",
            models.Index(fields=("photo",), name="customer_by_photo", condition=~models.Q(photo="")),
        ),
    )
