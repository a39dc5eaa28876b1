"""What an API token may do at most; within it, the person's permissions hold."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    READ = "read", _("Read")
    WRITE = "write", _("Add and change")
    DELETE = "delete", _("Delete")
    CAPTURE = "capture", _("Record visits in bulk")
