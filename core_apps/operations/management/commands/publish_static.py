import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

MANIFEST = "staticfiles.json"
KEPT_SECONDS = 30 * 24 * 60 * 60


class Command(BaseCommand):
    help = "Copies the image's static files beside those of earlier versions, and deletes what was replaced long ago."

    def handle(self, *args: Any, **options: Any) -> None:
        collected, published = Path(settings.BASE_DIR) / "staticfiles", Path(settings.STATIC_ROOT)
        # Pages of the version that is replaced are still open: the age of its files begins now.
        names = json.loads(path.read_text())["paths"].values() if (path := published / MANIFEST).exists() else ()
        for file in [published / f"{name}{suffix}" for name in names for suffix in ("", ".gz")]:
            if file.exists():
                file.touch()
        # The manifest last: a version that is listed has all its files.
        for file in sorted(filter(Path.is_file, collected.rglob("*")), key=lambda file: file.name == MANIFEST):
            copy(file, published / file.relative_to(collected))
        limit = time.time() - KEPT_SECONDS
        old = [file for file in published.rglob("*") if file.is_file() and file.stat().st_mtime < limit]
        for file in old:
            file.unlink()
        self.stdout.write(f"Published the static files; deleted {len(old)} old ones.")


def copy(source: Path, target: Path) -> None:
    """A name carries the hash of its content: a file that is there is the same, and its age begins anew."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
