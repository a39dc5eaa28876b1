import json
import os
import time

import pytest
from django.core.management import call_command

DAY = 24 * 60 * 60  # seconds


@pytest.fixture
def image(settings, tmp_path):
    """An image's collected files, and an empty volume."""
    settings.BASE_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "volume"
    collect(tmp_path, "css/base.1.css", "logo.1.svg")
    return tmp_path


def collect(image, *names: str) -> None:
    for old in (path for path in (image / "staticfiles").rglob("*") if path.is_file()):
        old.unlink()
    manifest = json.dumps({"paths": {name.replace(".1", "").replace(".2", ""): name for name in names}})
    for name, content in {**dict.fromkeys(names, "a"), "staticfiles.json": manifest}.items():
        path = image / "staticfiles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def list_published(image) -> list[str]:
    volume = image / "volume"
    return sorted(str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file())


def let_pass(image, days: int) -> None:
    for path in (image / "volume").rglob("*"):
        os.utime(path, (time.time(), path.stat().st_mtime - DAY * days))


def test_publish_static_fills_an_empty_volume(image):
    call_command("publish_static")

    assert list_published(image) == ["css/base.1.css", "logo.1.svg", "staticfiles.json"]


def test_publish_static_keeps_replaced_files_for_a_month(image):
    call_command("publish_static")
    let_pass(image, days=100)
    collect(image, "css/base.2.css", "logo.1.svg")
    call_command("publish_static")
    let_pass(image, days=29)
    call_command("publish_static")
    assert list_published(image) == ["css/base.1.css", "css/base.2.css", "logo.1.svg", "staticfiles.json"]

    let_pass(image, days=2)
    call_command("publish_static")
    assert list_published(image) == ["css/base.2.css", "logo.1.svg", "staticfiles.json"]
