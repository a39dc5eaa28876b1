import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index of the foreign key remains."""

    dependencies = (("customers", "0003_follow_up_by_completed"),)

    operations = (
        migrations.RemoveIndex("followup", "follow_up_by_visit"),
        migrations.AlterField(
            "followup",
            "visit",
            models.ForeignKey(
                "customers.Visit",
                django.db.models.deletion.SET_NULL,
                verbose_name="visit",
                null=True,
                blank=True,
                related_name="follow_ups",
                help_text="The visit it follows up.",
            ),
        ),
    )
