import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from config import gunicorn

CHECKOUT = Path(django_settings.BASE_DIR)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, float(os.cpu_count() or 1)),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float(os.cpu_count() or 1)),
        ({}, float(os.cpu_count() or 1)),
    ],
)
def test_cpu_limit_is_the_containers_and_not_the_hosts(files, expected, tmp_path):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    assert gunicorn.cpu_limit(tmp_path) == expected


def test_workers_follow_web_concurrency(settings):
    settings.WEB_CONCURRENCY = 7

    assert runpy.run_path(str(CHECKOUT / "config/gunicorn.py"))["workers"] == 7


def test_requests_in_flight_outlast_the_database_and_end_before_the_orchestrator_kills(settings):
    assert settings.DATABASE_STATEMENT_TIMEOUT < gunicorn.graceful_timeout < 30


def test_configuration_is_accepted_by_gunicorn():
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]

    result = subprocess.run([*command, "--check-config"], cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
