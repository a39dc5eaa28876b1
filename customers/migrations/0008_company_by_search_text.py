from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0007_customer_by_search_text"),)
    operations = (
        AddIndexConcurrently(
            "company",
            GinIndex(OpClass("search_text", "gin_trgm_ops"), name="company_by_search_text"),
        ),
    )
