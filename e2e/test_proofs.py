"""The tests named in docs/proofs.md are collected by default and contain assertions."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("config", "core_apps", "customers", "e2e")
Definition = ast.FunctionDef | ast.ClassDef


def named_tests(*, by_default: bool = False) -> set[str]:
    """Those that documents name; by default without those that only `make e2e-full` runs."""
    lines = (CHECKOUT / "docs/proofs.md").read_text().splitlines()
    chosen = [line for line in lines if not by_default or not line.endswith("by `make e2e-full` |")]
    return set(re.findall(r"`(test_\w+)`", "\n".join(chosen)))


def definitions() -> Iterator[Definition]:
    """Return all functions and classes of the test modules and their helpers."""
    for folder in FOLDERS:
        for path in (CHECKOUT / folder).rglob("*.py"):
            if folder == "e2e" or "tests" in path.parts:
                tree = ast.parse(path.read_text())
                yield from (node for node in ast.walk(tree) if isinstance(node, Definition))


def asserts(definition: Definition) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(definition)) or "raises" in used_names(definition)


def used_names(definition: Definition) -> set[str]:
    nodes = list(ast.walk(definition))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def has_skip_mark(test: Definition) -> bool:
    return any(re.search(r"mark\.skip\b", ast.unparse(decorator)) for decorator in test.decorator_list)


def test_tests_named_as_proofs_run_by_default() -> None:
    options = ["--collect-only", "-q", "-m", "not full", "-p", "no:cacheprovider"]
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *FOLDERS], cwd=CHECKOUT, capture_output=True, text=True
    )

    assert collected.returncode == 0, collected.stdout[-2000:]
    names = set(re.findall(r"::(test_\w+)", collected.stdout))
    assert len(named_tests(by_default=True)) > 80
    assert named_tests(by_default=True) - names == set()


def test_tests_named_as_proofs_assert_something() -> None:
    found = list(definitions())
    asserting = {definition.name for definition in found if asserts(definition)}
    # A test that hypothesis drives names a class, whose methods call what asserts.
    asserting |= {one.name for one in found if isinstance(one, ast.ClassDef) and used_names(one) & asserting}
    tests = [definition for definition in found if definition.name in named_tests()]
    assert {test.name for test in tests} == named_tests()

    assert [test.name for test in tests if has_skip_mark(test)] == []
    assert [test.name for test in tests if not (asserts(test) or used_names(test) & asserting)] == []
