import os
from pathlib import Path

import pytest

from config.local import defaults


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(defaults, "CHECKOUT", tmp_path)
    for name in ("SECRET_KEY", "SECRET_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_variable_set_nowhere_takes_its_default(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv.write_text("SECRET_KEY=\n")
    defaults.set_defaults({"SECRET_KEY": "default"})
    assert os.environ["SECRET_KEY"] == "default"


@pytest.mark.parametrize("line", ["SECRET_KEY=own", "SECRET_KEY_FILE=/run/secrets/key"])
def test_variable_in_the_env_file_keeps_its_value(dotenv: Path, line: str) -> None:
    dotenv.write_text(f"{line}\n")
    defaults.set_defaults({"SECRET_KEY": "default"})
    assert "SECRET_KEY" not in os.environ


def test_variable_in_the_environment_keeps_its_value(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "own")
    defaults.set_defaults({"SECRET_KEY": "default"})
    assert os.environ["SECRET_KEY"] == "own"
