from django.db import migrations


class Migration(migrations.Migration):
    """The number of the state of the data: core_apps.common.versioned_cache."""

    dependencies = (("common", "0001_folded"),)
    operations = (migrations.RunSQL("CREATE SEQUENCE cache_version", "DROP SEQUENCE cache_version"),)
