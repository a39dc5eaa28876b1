import json
import logging
import logging.config
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client

from core_apps.operations.logs import JsonLineFormatter, TextFormatter, add_request_id, build_logging_config

CHECKOUT = Path(django_settings.BASE_DIR)
HOSTILE = "/x\r\nINFO forged\x1b[2Jline\u2028end\x85"


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What the application logs during the test, through the JSON formatter."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLineFormatter())
    handler.addFilter(add_request_id)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def read_log(lines: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_request_makes_one_json_line_with_all_its_fields(lines, alice, client_of):
    response = client_of(alice).get("/admin/?q=secret", secure=True, headers={"X-Request-Id": "front-door.1"})

    [line] = read_log(lines)
    assert set(line) == {
        *("timestamp", "level", "logger", "message", "request_id"),
        *("method", "path", "status", "duration_ms", "user_id"),
    }
    fixed = ("level", "logger", "request_id", "method", "path", "status", "user_id")
    assert [line[name] for name in fixed] == ["INFO", "access", "front-door.1", "GET", "/admin/", 200, str(alice.pk)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", str(line["timestamp"]))
    assert response.headers["X-Request-Id"] == "front-door.1"


def test_warning_of_python_is_one_json_line():
    """As for a date without a zone, which a query string of the admin may have."""
    code = "import django, warnings; django.setup(); warnings.warn('received a naive datetime', RuntimeWarning)"
    environment = os.environ | {"LOG_FORMAT": "json", "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True)

    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["level"], line["logger"]) == ("WARNING", "py.warnings")
    assert "RuntimeWarning: received a naive datetime" in line["message"]


def test_request_of_nobody_has_no_user(lines):
    Client().get("/admin/login/", secure=True)

    assert read_log(lines)[-1]["user_id"] is None


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 129, "has space in it", "ünïcödé-id", "semi;colon-id", "x\x1b[31mred"]
)
def test_request_id_that_is_not_well_formed_is_replaced(given):
    response = Client().get("/admin/login/", secure=True, headers={"X-Request-Id": given})

    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-Id"])


def test_two_requests_get_different_ids():
    first, second = (Client().get("/admin/login/", secure=True).headers["X-Request-Id"] for _ in range(2))

    assert first != second


@pytest.mark.parametrize("path", ["/health/", "/api/v1/health/"])
def test_probe_is_not_logged(path, lines):
    Client().get(path)

    assert lines.getvalue() == ""


def test_path_with_control_characters_adds_no_json_line(lines):
    Client().get(quote(HOSTILE), secure=True)

    [line] = read_log(lines)
    assert (line["path"], line["status"]) == (HOSTILE, 404)
    assert lines.getvalue().count("\n") == 1


def test_path_with_control_characters_adds_no_text_line():
    record = logging.LogRecord("access", logging.INFO, "", 0, "GET %s", (HOSTILE,), None)

    text = TextFormatter().format(record)

    assert text.endswith("GET /x\\r\\nINFO forged\\x1b[2Jline\\u2028end\\x85")
    assert len(text.splitlines()) == 1


def test_exception_text_with_escape_characters_is_shown_not_obeyed():
    try:
        raise ValueError("bad\x1b[2J\rvalue")
    except ValueError:
        record = logging.LogRecord("access", logging.ERROR, "", 0, "failed", (), sys.exc_info())

    text = TextFormatter().format(record)

    assert text.endswith("ValueError: bad\\x1b[2J\\rvalue")


def test_exception_in_json_stays_on_its_line(lines):
    try:
        raise ValueError("bad\r\nvalue")
    except ValueError:
        logging.getLogger("customers").exception("failed")

    [line] = read_log(lines)
    assert (line["level"], line["message"]) == ("ERROR", "failed")
    assert str(line["exception"]).startswith("Traceback (most recent call last):\n")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/reset/MQ/{}/", "/reset/MQ/{}", "/reset//MQ/{}/"])
def test_token_of_a_password_reset_is_not_logged(lines, path):
    Client().get(path.format("cq8xv1-0123456789abcdef0123456789abcdef"), secure=True)

    assert read_log(lines)[-1]["path"] == path.format("[redacted]")
    assert "0123456789abcdef" not in lines.getvalue()


@pytest.mark.parametrize(("form", "formatter"), [("json", JsonLineFormatter), ("text", TextFormatter)])
def test_log_format_setting_chooses_the_formatter(form, formatter):
    assert build_logging_config(form, "INFO")["formatters"]["line"]["()"] is formatter


LOG_ONE_LINE = "import django, logging; django.setup(); logging.getLogger('customers').warning('hello')"


def test_log_in_a_terminal_is_text_and_in_a_pipe_is_json():
    environment = dict(os.environ, DJANGO_SETTINGS_MODULE="config.settings")
    environment.pop("LOG_FORMAT", None)
    command = [sys.executable, "-c", LOG_ONE_LINE]
    piped = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True).stderr
    controller, terminal = pty.openpty()
    subprocess.run(command, cwd=CHECKOUT, env=environment, stderr=terminal, check=True)
    shown = os.read(controller, 1000).decode()

    assert json.loads(piped)["message"] == "hello"
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING hello\r\n", shown)


def test_cache_failure_is_ignored_and_logged(settings, lines):
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    assert cache.get("anything") is None
    first, line = read_log(lines)
    assert (first["level"], str(first["message"])[:21]) == ("WARNING", "Redis does not answer")
    assert line["level"] == "ERROR"
    assert "127.0.0.1:1" in str(line["exception"])
