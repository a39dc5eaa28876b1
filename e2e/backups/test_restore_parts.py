"""What a restore is made of, without a container: roles, uploaded files, and the question to the application."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from e2e.backups.tier import package

GLOBALS = r'''--
-- PostgreSQL database cluster dump
--

\restrict abc
SET default_transaction_read_only = off;

CREATE ROLE exhibition;
ALTER ROLE exhibition WITH SUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a=';
CREATE ROLE "Fair's ""own""";
ALTER ROLE "Fair's ""own""" WITH NOSUPERUSER LOGIN PASSWORD 'md5;';
COMMENT ON ROLE "Fair's ""own""" IS 'two
lines;
-- and no comment';
ALTER ROLE "Fair's ""own""" SET work_mem TO '12MB';
ALTER ROLE reader SET work_mem TO '1MB';
CREATE TABLESPACE fast OWNER exhibition LOCATION '/disk';
GRANT reader TO "Fair's ""own""" WITH INHERIT TRUE GRANTED BY exhibition;
GRANT reader TO exhibition;
'''
LEFT_OUT = (
    "ALTER ROLE reader SET work_mem TO '1MB';",
    "CREATE TABLESPACE fast OWNER exhibition LOCATION '/disk';",
    "GRANT reader TO exhibition;",
)


def test_roles_that_exist_are_left_as_they_are() -> None:
    roles = package("roles")
    new = {'Fair\'s "own"'}
    said = [one for one in roles.statements(GLOBALS) if roles.is_about(one, new)]
    lines = GLOBALS.splitlines()
    kept = [line for line in lines[lines.index('CREATE ROLE "Fair\'s ""own""";') :] if line not in LEFT_OUT]
    assert "\n".join(said).splitlines() == kept


def archive(*files: tuple[str, bytes]) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_700_000_000
            tar.addfile(member, io.BytesIO(content))
    target.seek(0)
    return target


class Wanted:
    """As much of a manifest as is asked for."""

    def __init__(self, **media: bytes) -> None:
        self.media = {f"photos/{name}": hashlib.sha256(content).hexdigest() for name, content in media.items()}


def unpack(directory: Path, wanted: Any, *files: tuple[str, bytes]) -> None:
    media = package("media")
    media.unpack(archive(*files), directory, wanted, media.lacking(directory, wanted))


def test_files_that_are_missing_or_damaged_are_put_and_others_kept(tmp_path: Path) -> None:
    wanted = Wanted(there=b"there", damaged=b"damaged", missing=b"missing")
    (tmp_path / "photos").mkdir()
    for name, content in (("there", "there"), ("damaged", "dam"), ("newer", "newer"), (".restoring-x", "killed")):
        (tmp_path / "photos" / name).write_text(content)
    kept = (tmp_path / "photos/there").stat()
    # One that was read while it was written is there again behind it.
    first = ("photos/missing", b"mis")
    unpack(tmp_path, wanted, first, *((f"photos/{name}", name.encode()) for name in ("there", "damaged", "missing")))
    found = {path.name: path.read_text() for path in (tmp_path / "photos").iterdir()}
    assert found == {name: name for name in ("there", "damaged", "missing", "newer")}
    assert (tmp_path / "photos/there").stat() == kept
    # nginx, which is another user, reads it.
    assert (tmp_path / "photos/missing").stat().st_mode & 0o777 == 0o644


def test_archive_without_what_its_manifest_names_is_refused(tmp_path: Path) -> None:
    failed = package("settings").FailedError
    with pytest.raises(failed, match=r"in 1 files, such as photos/one$"):
        unpack(tmp_path, Wanted(one=b"one"), ("photos/one", b"another"))
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "photos/../../secret", ""])
def test_file_is_never_put_outside_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(package("settings").FailedError, match="is not the name of an uploaded file"):
        package("media").place(tmp_path, name)


def test_application_that_is_not_there_fails_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drilling = package("drilling")
    monkeypatch.setattr(drilling, "NOTICED", 0.1)
    with pytest.raises(package("settings").FailedError, match="`drill` does not notice that it is asked"):
        drilling.ask(tmp_path, {"database_url": "postgresql://"})
