import os
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core_apps.common.static_versions import MANIFEST, manifest_of, of_this_image


class Command(BaseCommand):
    help = "Copies the image's static files beside those of earlier versions, whose pages may still be open."

    def handle(self, *args: Any, **options: Any) -> None:
        collected, published = Path(settings.BASE_DIR) / "staticfiles", Path(settings.STATIC_ROOT)
        new = [path.relative_to(collected) for path in collected.rglob("*") if path.is_file()]
        new = [name for name in new if not (published / name).exists()]
        # A name carries the hash of its content, so what is there already is the same. The list of names comes
        # last: whoever reads it finds every file.
        for name in new:
            copy(collected / name, published / name)
        copy(collected / MANIFEST, manifest_of(published, of_this_image()))
        copy(collected / MANIFEST, published / MANIFEST)
        self.stdout.write(f"Published {len(new)} new static files.")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
