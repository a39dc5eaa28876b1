from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = (("messaging", "0003_campaigns"),)

    operations = (
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(
                fields=("campaign", "recipient"), name="message_by_campaign", condition=~Q(campaign=None)
            ),
        ),
    )
