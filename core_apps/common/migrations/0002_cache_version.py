from django.db import migrations


class Migration(migrations.Migration):
    """Sequences, because no transaction holds them back: core_apps.common.versioned_cache says what for."""

    dependencies = (("common", "0001_folded"),)
    operations = (
        migrations.RunSQL(
            "CREATE SEQUENCE cache_version; CREATE SEQUENCE cache_distrusted_until",
            "DROP SEQUENCE cache_version; DROP SEQUENCE cache_distrusted_until",
        ),
    )
