"""The scripts on a server read an env file as Docker Compose does, which also accepts other forms than NAME=value."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy import env_file
from deploy.secrets import build_project_name
from e2e.checkout import SOURCE

NAMES = "ABCDEFGHIJKL"
FORMS = """\ufeffA=with a byte order mark
export B=exported
C = spaces
D: colon
E="quoted # no comment"
F=value # comment
G='single'
H=
  I=indented
J=a#b
K=""
L=first
L="last"
# M=comment
"""


def read_with_compose(path: Path) -> dict[str, str]:
    environment = {name: f"${{{name}-}}" for name in NAMES}
    compose = json.dumps({"services": {"web": {"image": "none", "environment": environment}}})
    command = ["docker", "compose", "--env-file", str(path), "-f", "-", "config", "--format", "json"]
    done = subprocess.run(command, input=compose, capture_output=True, text=True, check=True)
    values = json.loads(done.stdout)["services"]["web"]["environment"]
    return {name: value for name, value in values.items() if value}


def test_env_file_is_read_as_by_compose(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(FORMS, encoding="utf-8")

    assert env_file.read(path) == read_with_compose(path)


@pytest.mark.parametrize(
    "line", ["\ufeffSECRET_KEY=set", "export SECRET_KEY=set", "SECRET_KEY = set", "SECRET_KEY: set"]
)
def test_secret_that_is_set_in_any_form_is_not_generated(line: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\n", encoding="utf-8")

    assert generate(path) == (0, "", "")
    assert path.read_text(encoding="utf-8") == f"{line}\n"


@pytest.mark.parametrize(
    "line", ["SECRET_KEY=", "SECRET_KEY=''", 'SECRET_KEY="" # to do', "# SECRET_KEY=x", "SECRET_KEY= # to do"]
)
def test_blank_secret_is_generated_once(line: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{line}\n")

    assert generate(path)[0] == 0
    assert len(env_file.read(path)["SECRET_KEY"]) == 64
    assert generate(path) == (0, "", "")


def test_env_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("DOMAIN=localhost\nPHONE_REGION=München\n".encode("latin-1"))

    assert generate(path) == (1, "", f"{path}: line 2 is not UTF-8 text. Save the file as UTF-8.\n")


def test_password_that_a_url_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("POSTGRES_PASSWORD=any/#?[%@\nREDIS_PASSWORD=a/b\n")

    reason = f"{path}: REDIS_PASSWORD becomes part of a URL; use only letters, digits and - . _ ~\n"
    assert generate(path) == (1, "", reason)


def generate(path: Path) -> tuple[int, str, str]:
    command = ["python3", "-m", "deploy.secrets", str(path), "SECRET_KEY"]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("folder", "name"), [("crm", "crm"), ("Messe (neu)", "messe-neu"), ("_2", "2"), ("展会", "crm")]
)
def test_project_is_named_after_the_folder(folder: str, name: str) -> None:
    assert build_project_name(Path("/srv") / folder) == name
