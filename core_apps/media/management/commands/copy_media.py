import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser

THREADS = 8
COPIED, THERE, DIFFERENT, GONE = "copied", "already there", "different in the bucket", "deleted meanwhile"


class Command(BaseCommand):
    help = """Copies the files of MEDIA_ROOT into the bucket MEDIA_BUCKET, and compares each with its copy by SHA-256.
Can be interrupted and repeated: what is there already is only compared."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete each file whose copy is the same")

    def handle(self, *args: Any, delete: bool, **options: Any) -> None:
        if not settings.MEDIA_BUCKET:
            raise CommandError("MEDIA_BUCKET is not set: there is no bucket to copy to.")
        root, counts = Path(settings.MEDIA_ROOT), Counter[str]()
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        with ThreadPoolExecutor(THREADS) as threads:
            for name, outcome in zip(names, threads.map(partial(copy, delete=delete), names), strict=True):
                counts[outcome] += 1
                if outcome == DIFFERENT:
                    self.stderr.write(
                        f"{name}: the bucket has another file of this name. Compare them, and delete one."
                    )
        self.stdout.write(f"{len(names)} files: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
        if counts[DIFFERENT]:
            raise CommandError(f"{counts[DIFFERENT]} files were not copied.")


def copy(name: str, *, delete: bool) -> str:
    path, storage = Path(settings.MEDIA_ROOT, name), default_storage
    try:
        with path.open("rb") as file:
            is_new = not storage.exists(name)
            if is_new:
                storage.put(name, File(file))  # type: ignore[attr-defined]
        with path.open("rb") as file:
            is_same = hashlib.file_digest(file, "sha256").digest() == storage.hash(name)  # type: ignore[attr-defined]
        if is_same and delete:
            path.unlink()
    except FileNotFoundError:
        return GONE
    return DIFFERENT if not is_same else COPIED if is_new else THERE
