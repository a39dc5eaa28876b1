"""Scopes of API tokens; they narrow the permissions of the user."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    READ = "read", _("Read")
    WRITE = "write", _("Add and change")
    DELETE = "delete", _("Delete")
    CAPTURE = "capture", _("Record visits in bulk")
