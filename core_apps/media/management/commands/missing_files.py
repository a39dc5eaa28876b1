import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db.models import FileField

from core_apps.tasks.jobs import Job


class Command(BaseCommand):
    help = "Prints as JSON how many uploaded files the database refers to, and which of them are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        named, missing = find_missing()
        self.stdout.write(json.dumps({"named": named, "missing": missing}))


def find_missing() -> tuple[int, list[str]]:
    """The number of files that rows refer to, and the names of missing ones."""
    named, missing = 0, []
    for field in get_file_fields():
        names = field.model._default_manager.exclude(**{field.name: ""}).values_list(field.name, flat=True)
        for name in filter(None, names.iterator()):
            named += 1
            if not field.storage.exists(name):
                missing.append(name)
    return named, missing


def get_file_fields() -> Iterator[FileField]:
    # Those of jobs are deleted after a while.
    for model in (model for model in apps.get_models() if not issubclass(model, Job)):
        yield from (field for field in model._meta.concrete_fields if isinstance(field, FileField))
