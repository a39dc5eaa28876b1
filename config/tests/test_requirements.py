"""The locks in requirements/ against what they were made from, without a network."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
PURPOSES = ["base", "production", "certificates", "local", "e2e", "manifests"]
DEFINING = "django gunicorn psycopg2-binary django-redis sentry-sdk python-json-logger python-decouple whitenoise"


def read_requirements(purpose: str) -> dict[str, Requirement]:
    """Requirements of the .in file and of those it includes, by name."""
    found: dict[str, Requirement] = {}
    for line in (FOLDER / f"{purpose}.in").read_text().splitlines():
        content = line.partition("#")[0].strip()
        if content.startswith("-r "):
            found |= read_requirements(content.removeprefix("-r ").removesuffix(".in"))
        elif content and not content.startswith("--"):  # an option of pip's, such as --no-binary
            requirement = Requirement(content)
            found[requirement.name] = requirement
    return found


def read_lock(purpose: str) -> dict[str, str]:
    text = (FOLDER / f"{purpose}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_lock_satisfies_its_in_file(purpose):
    pins = read_lock(purpose)

    stale = {
        str(r) for r in read_requirements(purpose).values() if r.name not in pins or pins[r.name] not in r.specifier
    }

    assert stale == set(), "run make lock"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_lock_contains_only_requirements_of_its_in_file(purpose):
    """`# via -r base.in` in a lock marks a direct requirement."""
    text = (FOLDER / f"{purpose}.txt").read_text()
    pins = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    direct = {re.split(r"[=\[]", pin)[0] for pin in pins if re.search(r"-r \w+\.in", pin)}

    assert direct == set(read_requirements(purpose)), "run make lock"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_lock_has_a_hash_for_every_pin(purpose):
    text = (FOLDER / f"{purpose}.txt").read_text()
    pins = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]

    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []


# The last has an environment of its own.
@pytest.mark.parametrize("purpose", PURPOSES[:-1])
def test_locks_agree_on_every_version(purpose):
    assert read_lock(purpose).items() <= read_lock("e2e").items()


def test_each_requirement_has_a_reason():
    lines = [line for purpose in PURPOSES for line in (FOLDER / f"{purpose}.in").read_text().splitlines()]

    assert [line for line in lines if re.match(r"[a-z]", line) and "  # " not in line] == []


def test_defining_packages_are_direct_requirements():
    assert {*DEFINING.split()} <= set(read_requirements("production"))
    assert "pytest-django" in read_requirements("local")
