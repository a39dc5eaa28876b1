"""How much of the disk a restore takes, and how much is left where this container sees it."""

import os
from pathlib import Path
from typing import Any

from backup import parts
from backup.manifest import Manifest
from backup.settings import Settings

# Loading writes what it loads into the log of changes as well, of which PostgreSQL keeps so much.
LOG = 2**30


def asked(settings: Settings, wanted: Manifest) -> dict[str, Any]:
    """By place: bytes that are needed, and the disk as `disk` tells of it."""
    lacking = [name for name in wanted.media if not (settings.media / name).exists()]
    share = len(lacking) / max(1, len(wanted.media))
    needed = {
        "database": wanted.database_size + min(wanted.database_size, LOG),
        "media": int(share * size_of(wanted, parts.MEDIA)),
        # The safety backup is of what is there now.
        "backups": used(settings.media) + size_of(wanted, parts.DATABASE),
    }
    return {"needed": needed, "media": disk(settings.media), "backups": disk(settings.backups)}


def disk(path: Path) -> list[str]:
    """As `stat --file-system --format="%i-%b %a %S"` has it: which disk it is, and its free blocks and their size."""
    found = os.statvfs(path)
    return [f"{found.f_fsid:x}-{found.f_blocks}", str(found.f_bavail), str(found.f_frsize)]


def size_of(wanted: Manifest, part: str) -> int:
    return sum(file.size for name, file in wanted.files.items() if name.removesuffix(parts.ENCRYPTED) == part)


def used(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
