import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

MANIFEST = "staticfiles.json"
RETENTION_SECONDS = 30 * 24 * 60 * 60


class Command(BaseCommand):
    help = "Adds the static files of this image to those of earlier versions, and deletes old files."

    def handle(self, *args: Any, **options: Any) -> None:
        collected, published = Path(settings.BASE_DIR) / "staticfiles", Path(settings.STATIC_ROOT)
        # Pages of the previous version are still open: the age of its files starts now.
        names = json.loads(path.read_text())["paths"].values() if (path := published / MANIFEST).exists() else ()
        for file in [published / f"{name}{suffix}" for name in names for suffix in ("", ".gz")]:
            if file.exists():
                file.touch()
        # The manifest last, so that all files it lists exist.
        for file in sorted(filter(Path.is_file, collected.rglob("*")), key=lambda file: file.name == MANIFEST):
            copy(file, published / file.relative_to(collected))
        limit = time.time() - RETENTION_SECONDS
        old = [file for file in published.rglob("*") if file.is_file() and file.stat().st_mtime < limit]
        for file in old:
            file.unlink()
        self.stdout.write(f"Published the static files; deleted {len(old)} old ones.")


def copy(source: Path, target: Path) -> None:
    """Overwrites an existing file, whose content is the same by its hash, to renew its age."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
