import pytest
from django.core.management import call_command


@pytest.fixture
def image(settings, tmp_path, monkeypatch):
    """An image's collected files, and an empty volume."""
    monkeypatch.setenv("IMAGE_VERSION", "1.0")
    settings.BASE_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "volume"
    write(tmp_path, {"css/base.1111.css": "one", "staticfiles.json": "list one"})
    return tmp_path


def write(image, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = image / "staticfiles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def published(image) -> dict[str, str]:
    volume = image / "volume"
    return {str(path.relative_to(volume)): path.read_text() for path in volume.rglob("*") if path.is_file()}


def test_publish_static_fills_an_empty_volume(image, capsys):
    call_command("publish_static")

    assert published(image) == {
        "css/base.1111.css": "one",
        "staticfiles.json": "list one",
        "versions/1.0.json": "list one",
    }
    assert capsys.readouterr().out == "Published 2 new static files.\n"


def test_publish_static_keeps_the_files_of_the_version_before(image, monkeypatch):
    call_command("publish_static")
    (image / "staticfiles/css/base.1111.css").unlink()
    write(image, {"css/base.2222.css": "two", "staticfiles.json": "list two"})
    monkeypatch.setenv("IMAGE_VERSION", "1.1")
    call_command("publish_static")

    assert published(image) == {
        "css/base.1111.css": "one",
        "css/base.2222.css": "two",
        "staticfiles.json": "list two",
        "versions/1.0.json": "list one",
        "versions/1.1.json": "list two",
    }
