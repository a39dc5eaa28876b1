import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((CHECKOUT / "docs").glob("*.md"))


def defined_tests() -> set[str]:
    folders = ("config", "core_apps", "customers", "e2e")
    sources = [path.read_text() for folder in folders for path in (CHECKOUT / folder).rglob("test_*.py")]
    return {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_names_tests_that_exist(document):
    named = set(re.findall(r"`(test_\w+)`", document.read_text()))

    assert named - defined_tests() == set()


def test_each_entry_of_troubleshooting_has_a_cause():
    entries = re.split(r"^\*\*", (CHECKOUT / "docs/troubleshooting.md").read_text(), flags=re.MULTILINE)[1:]

    assert len(entries) >= 15
    assert [entry for entry in entries if "\nCause: " not in entry] == []
