import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = (("accounts", "0002_labels"),)
    operations = (
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_key", models.CharField(db_index=True, max_length=25)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("digest", models.CharField(editable=False, max_length=128, unique=True)),
                (
                    "name",
                    models.CharField(
                        help_text="Which program has it, so that you know what stops without it.",
                        max_length=100,
                        verbose_name="name",
                    ),
                ),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("read", "Read"),
                                ("write", "Add and change"),
                                ("delete", "Delete"),
                                ("capture", "Record visits in bulk"),
                            ],
                            max_length=10,
                        ),
                        help_text="What it may do at most; within this, your own rights hold.",
                        size=None,
                        verbose_name="scopes",
                    ),
                ),
                ("expiry", models.DateTimeField(verbose_name="expires")),
                ("last_used_at", models.DateTimeField(editable=False, null=True, verbose_name="last used")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "verbose_name_plural": "API tokens",
                "ordering": ("-created", "-pk"),
                "constraints": [
                    models.CheckConstraint(condition=~Q(name=""), name="api_token_name_not_blank"),
                    models.CheckConstraint(
                        condition=Q(scopes__len__gte=1, scopes__contained_by=["read", "write", "delete", "capture"]),
                        name="api_token_scopes_known",
                    ),
                ],
            },
        ),
    )
