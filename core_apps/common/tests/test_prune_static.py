import json
import os
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

DAY = 24 * 60 * 60
MINUTE = 60


@pytest.fixture
def volume(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    return tmp_path


def publish(volume: Path, version: str, seconds_ago: float, *names: str) -> None:
    """As publish_static does, so long ago; a file that is there keeps its time."""
    manifest = json.dumps({"paths": {name.split(".")[0]: name for name in names}})
    for name in [name + suffix for name in names for suffix in ("", ".gz", ".br")]:
        write(volume / name, name, seconds_ago)
    for path in (volume / "versions" / f"{version}.json", volume / "staticfiles.json"):
        path.unlink(missing_ok=True)
        write(path, manifest, seconds_ago)


def write(path: Path, text: str, seconds_ago: float) -> None:
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (time.time() - seconds_ago,) * 2)


def left(volume: Path) -> list[str]:
    """But for compressed ones, which go with their plain file, as is checked here."""
    names = {str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file()}
    plain = {name for name in names if not name.endswith((".gz", ".br"))}
    hashed = {name for name in plain if not name.endswith(".json")}
    assert names == plain | {name + suffix for name in hashed for suffix in (".gz", ".br")}
    return sorted(plain)


def prune(*versions: str, keep: int = 1, days: float = 10) -> None:
    call_command("prune_static", *versions, f"--keep={keep}", f"--older-than-days={days}")


@pytest.mark.parametrize(("replaced", "stays"), [(10 * DAY - MINUTE, True), (10 * DAY + MINUTE, False)])
def test_prune_static_deletes_what_was_replaced_longer_ago_than_so_many_days(replaced, stays, volume, capsys):
    publish(volume, "1", 90 * DAY, "base.1.css", "logo.1.svg")
    publish(volume, "2", replaced, "base.2.css", "logo.1.svg")

    prune("2")

    current = ["base.2.css", "logo.1.svg", "staticfiles.json", "versions/2.json"]
    assert left(volume) == sorted([*current, "base.1.css", "versions/1.json"] if stays else current)
    said = "0 static files; 0 versions forgotten, 2 kept" if stays else "3 static files; 1 versions forgotten, 1 kept"
    assert capsys.readouterr().out == f"Deleted {said}.\n"


def test_prune_static_keeps_what_runs_and_what_ran_before_whatever_their_age(volume):
    for number, age in enumerate((90, 80, 70, 60, 50), start=1):
        publish(volume, str(number), age * DAY, f"base.{number}.css")

    prune("1", "3")

    assert left(volume) == [
        *("base.1.css", "base.3.css", "base.5.css", "staticfiles.json"),
        *("versions/1.json", "versions/3.json", "versions/5.json"),
    ]


@pytest.mark.parametrize(("keep", "first"), [(5, 2), (6, 1)])
def test_prune_static_keeps_so_many_of_the_newest(keep, first, volume):
    for number in range(1, 7):
        publish(volume, str(number), (100 - number) * DAY, f"base.{number}.css")

    prune("6", keep=keep)

    assert [name for name in left(volume) if name.endswith("css")] == [f"base.{n}.css" for n in range(first, 7)]


@pytest.mark.parametrize(("age", "stays"), [(10 * DAY - MINUTE, True), (10 * DAY + MINUTE, False)])
def test_prune_static_deletes_an_old_file_of_no_version(age, stays, volume):
    publish(volume, "1", 90 * DAY, "base.1.css")
    write(volume / "base.css.partial", "half", age)

    prune("1")

    assert (volume / "base.css.partial").exists() == stays


def test_prune_static_deletes_nothing_for_a_version_whose_files_it_does_not_know(volume):
    publish(volume, "1", 90 * DAY, "base.1.css")
    publish(volume, "2", 80 * DAY, "base.2.css")

    with pytest.raises(CommandError) as refused:
        prune("2", "0.9")

    assert str(refused.value) == "Nothing is deleted: which files are of 0.9 is not known here."
    assert [name for name in left(volume) if name.endswith("css")] == ["base.1.css", "base.2.css"]
