"""Which version brought which static files: `versions/NAME.json` beside them is the manifest of each."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = "versions"
MANIFEST = "staticfiles.json"
COMPRESSED = (".gz", ".br")


@dataclass(frozen=True)
class Version:
    path: Path
    published: float  # seconds since the epoch

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(".json")

    def files(self) -> set[str]:
        return set(json.loads(self.path.read_text(encoding="utf-8"))["paths"].values())


def of_this_image() -> str:
    """The name that the image was built with; its tag. Not VERSION, which an env file sets for all containers."""
    return os.environ.get("IMAGE_VERSION") or "unknown"


def manifest_of(root: Path, version: str) -> Path:
    return root / FOLDER / f"{version}.json"


def published_versions(root: Path) -> list[Version]:
    """Newest first."""
    versions = [Version(path, path.stat().st_mtime) for path in (root / FOLDER).glob("*.json")]
    return sorted(versions, key=lambda version: version.published, reverse=True)


def split_kept(
    versions: list[Version], named: set[str], keep: int, before: float
) -> tuple[list[Version], list[Version]]:
    """Divide versions, newest first, into those to keep and those to forget.

    Forgotten is what is not named, not among the newest `keep`, and was replaced by its successor before the time
    `before`: pages of it may be open until then.
    """
    kept: list[Version] = []
    forgotten: list[Version] = []
    replaced = float("inf")
    for place, version in enumerate(versions):
        needed = version.name in named or place < keep or replaced >= before
        (kept if needed else forgotten).append(version)
        replaced = version.published
    return kept, forgotten


def files_of_none(root: Path, versions: list[Version], before: float) -> list[Path]:
    """Files that none of the versions lists, written before that time."""
    listed = {name for version in versions for name in version.files()}
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path != root / MANIFEST
        and path.parent != root / FOLDER
        and path.stat().st_mtime < before
        and plain_name(path.relative_to(root)) not in listed
    ]


def plain_name(path: Path) -> str:
    return str(path.with_suffix("")) if path.suffix in COMPRESSED else str(path)
