from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

MODELS = ("company", "exhibition", "followup", "tag", "visit")


def field(**options: object) -> models.UUIDField:  # type: ignore[type-arg]
    return models.UUIDField(
        editable=False,
        help_text="Names it in URLs.",
        null=True,
        verbose_name="public id",
        **options,  # type: ignore[arg-type]
    )


def in_two_steps(model: str) -> list[Operation]:
    """A column that came with its default would have the whole table rewritten, each row having another value."""
    return [
        migrations.AddField(model, "public_id", field()),
        migrations.AlterField(model, "public_id", field(db_default=RandomUUID())),
    ]


class Migration(migrations.Migration):
    dependencies = (("customers", "0011_visit_tally"),)
    operations = [operation for model in MODELS for operation in in_two_steps(model)]
