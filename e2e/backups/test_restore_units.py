"""Parts of a restore, tested without a container: media, the application's proof, a point in time."""

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2e.backups.tier import package


def archive(path: Path, *files: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def digest(content: bytes) -> str:
    return str(package("parts").hashlib.sha256(content).hexdigest())


def test_files_that_are_missing_or_damaged_are_put_and_others_kept(tmp_path: Path) -> None:
    media = package("media")
    wanted = {f"photos/{name}": digest(name.encode()) for name in ("there", "damaged", "missing")}
    # One that was read while it was written is there again behind it.
    packed = [("photos/missing", b"mis"), *((name, name.removeprefix("photos/").encode()) for name in wanted)]
    tar, place = archive(tmp_path / "media.tar", *packed), tmp_path / "media"
    (place / "photos").mkdir(parents=True)
    for name, content in (("there", "there"), ("damaged", "dam"), ("newer", "newer"), (".restoring-x", "killed")):
        (place / "photos" / name).write_text(content)
    kept = (place / "photos/there").stat()
    media.unpack(tar, place, {name: wanted[name] for name in media.find_missing(place, wanted)})
    found = {path.name: path.read_text() for path in (place / "photos").iterdir()}
    assert found == {name: name for name in ("there", "damaged", "missing", "newer")}
    assert (place / "photos/there").stat() == kept
    # nginx, which is another user, reads it.
    assert (place / "photos/missing").stat().st_mode & 0o777 == 0o644


def test_archive_without_what_its_manifest_names_is_refused(tmp_path: Path) -> None:
    tar = archive(tmp_path / "media.tar", ("photos/one", b"another"))
    with pytest.raises(
        package("errors").BackupError, match=r"1 files of the manifest are missing in media\.tar, such as photos/one"
    ):
        package("media").unpack(tar, tmp_path / "media", {"photos/one": digest(b"one")})


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "photos/../../secret", ""])
def test_file_is_never_put_outside_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(package("errors").BackupError, match="is not the name of an uploaded file"):
        package("media").resolve_path(tmp_path, name)


def test_application_that_is_not_there_fails_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = package("drill")
    monkeypatch.setattr(drill, "PICKUP_SECONDS", 0.1)
    (tmp_path / "manifest.json").touch()
    (tmp_path / "drill").mkdir()
    with pytest.raises(package("errors").BackupError, match="`drill` did not pick up the manifest"):
        drill.check_application(tmp_path / "manifest.json", tmp_path / "drill")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:03:00+01:00", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("2026-11-22T14:03:00.5Z", datetime(2026, 11, 22, 14, 3, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22 14:03 UTC", datetime(2026, 11, 22, 14, 3, tzinfo=UTC)),
    ],
)
def test_time_is_read_with_its_zone(text: str, moment: datetime) -> None:
    assert package("pitr").parse(text, datetime(2026, 12, 1, tzinfo=UTC)) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a time such as"),
        ("2026-02-30 12:00Z", "is not a time such as"),
        ("2026-11-22 14:03", "has no time zone"),
        ("2026-12-02 00:00Z", "is in the future: it is 2026-12-01 00:00:00 UTC"),
    ],
)
def test_time_that_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    with pytest.raises(package("errors").BackupError, match=f"^TIME={text} {reason}"):
        package("pitr").parse(text, datetime(2026, 12, 1, tzinfo=UTC))
