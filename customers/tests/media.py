"""Uploaded files, wherever they are."""

from urllib.request import urlopen

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage


def list_files(folder: str = "") -> list[str]:
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    below = [name for each in folders for name in list_files(f"{folder}{each}/")]
    return sorted([f"{folder}{name}" for name in names] + below)


def read_file(name: str) -> bytes:
    with default_storage.open(name) as file:
        return bytes(file.read())


def write_file(name: str, content: bytes) -> None:
    default_storage.save(name, ContentFile(content))


def fetch(response) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of the response, or of the bucket's to which it leads."""
    if response.status_code == 302:
        with urlopen(response.headers["Location"], timeout=10) as answer:
            return dict(answer.headers), answer.read()
    return dict(response.headers), response.getvalue()
