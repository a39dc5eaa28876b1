from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0006_customer_archived"),)
    operations = (
        AddIndexConcurrently(
            "customer",
            GinIndex(OpClass("search_text", "gin_trgm_ops"), name="customer_by_search_text"),
        ),
    )
