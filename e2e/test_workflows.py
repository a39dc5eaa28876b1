"""The pipelines of GitHub and GitLab, by what checks them without running them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.checkout import SOURCE

GITHUB, GITLAB = Path(".github/workflows"), Path(".gitlab-ci.yml")
PROGRAMS = Path(sys.executable).parent
SCHEMA = ["check-jsonschema", "--builtin-schema"]
CHECKS = {
    "actionlint": ["actionlint", *(str(GITHUB / name) for name in ("ci.yml", "release.yml"))],
    "zizmor": ["zizmor", "--offline", "--pedantic", "--min-severity", "low", str(GITHUB)],
    "schema of GitHub": [*SCHEMA, "vendor.github-workflows", str(GITHUB / "ci.yml"), str(GITHUB / "release.yml")],
    "schema of GitLab": [*SCHEMA, "vendor.gitlab-ci", str(GITLAB)],
}
# A fault, what it replaces, and which check finds it.
FAULTS = [
    ("schema of GitHub", GITHUB / "release.yml", "timeout-minutes:", "timeout-minute:"),
    ("actionlint", GITHUB / "release.yml", "needs.images.outputs.digest", "needs.image.outputs.digest"),
    ("actionlint", GITHUB / "release.yml", '"$IMAGE"\n', '"$IMAGE\n'),
    ("zizmor", GITHUB / "release.yml", "make --silent release VERSION=", "make ${{ github.ref_name }} VERSION="),
    ("zizmor", GITHUB / "ci.yml", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6"),
    ("zizmor", GITHUB / "ci.yml", "permissions:\n  contents: read\n", ""),
    ("schema of GitLab", GITLAB, "services:", "service:"),
]


def run(check: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = CHECKS[check]
    command = [str(PROGRAMS / program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PATH": str(PROGRAMS)})


@pytest.mark.parametrize("check", CHECKS)
def test_pipelines_have_no_finding(check: str) -> None:
    done = run(check, SOURCE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("check", "file", "text", "fault"), FAULTS)
def test_fault_in_a_pipeline_is_found(check: str, file: Path, text: str, fault: str, tmp_path: Path) -> None:
    shutil.copytree(SOURCE / GITHUB, tmp_path / GITHUB)
    shutil.copy(SOURCE / GITLAB, tmp_path)
    assert text in (SOURCE / file).read_text()
    (tmp_path / file).write_text((SOURCE / file).read_text().replace(text, fault))
    assert run(check, tmp_path).returncode != 0, f"{check} does not find {fault!r} in {file}"


def test_actions_are_pinned_by_commit() -> None:
    lines = [line for file in (SOURCE / GITHUB).iterdir() for line in file.read_text().splitlines() if "uses:" in line]
    pinned = r"[\s-]*uses: ([\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\$/\.github/workflows/ci\.yml)"
    assert [line for line in lines if not re.fullmatch(pinned, line)] == []


@pytest.mark.parametrize(("name", "value"), [("TAG", "v1;id"), ("TAG", "v1$(id)"), ("DIGEST", "sha256:1 id\n")])
def test_name_that_a_shell_would_run_is_refused(name: str, value: str) -> None:
    values = {"TIER": "prod", "TAG": "v1.2.0", "DIGEST": "sha256:12", name: value}
    done = subprocess.run([SOURCE / "deploy/over_ssh.sh"], capture_output=True, text=True, env=values)
    assert (done.returncode, done.stdout) == (1, "")
    assert value.strip() in done.stderr
