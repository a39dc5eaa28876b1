from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """Its columns are part of follow_up_open_by_due."""

    atomic = False
    dependencies = (("customers", "0019_follow_up_open_by_due"),)
    operations = (RemoveIndexConcurrently("followup", "follow_up_open"),)
