"""Log formatting: JSON for machines, text for a terminal; always one line per event."""

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

from django.utils.module_loading import import_string
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

# The id of the request that the current thread serves, for all of its log lines.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# No format uses threads and processes ("Optimization" in Python's logging HOWTO).
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

# C0 and C1 controls and the Unicode line separators, which could end a line or control a terminal.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def add_request_id(record: logging.LogRecord) -> bool:
    """A logging filter that adds the request id to every record and drops none."""
    if not hasattr(record, "request_id"):
        record.request_id = request_id.get()
    return True


class JsonLineFormatter(JsonFormatter):
    """One JSON object per line, with the time in UTC; JSON escapes line breaks in values."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            timestamp=True,
        )
        # Reused, because the base class creates an encoder for each line.
        self.encoder = JsonEncoder(ensure_ascii=True)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        return self.encoder.encode(log_data)


class TextFormatter(logging.Formatter):
    """For a terminal: time, level, message; control characters are escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        record.message = escape_controls(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        return "\n".join(escape_controls(line) for line in super().formatException(ei).split("\n"))


def escape_controls(text: str) -> str:
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def build_logging_config(log_format: str, level: str) -> dict[str, Any]:
    """The dictConfig for Django and Gunicorn; format is `json`, `text`, or `auto`: text on a terminal."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": lambda: add_request_id},
            "is_not_probe": {"()": lambda: import_string("core_apps.operations.probes.is_not_probe")},
        },
        "formatters": {"line": {"()": TextFormatter if text else JsonLineFormatter}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
            "null": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Otherwise a line for each wake-up.
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "django": {"handlers": [], "level": level, "propagate": True},
            # The access log already has the 4xx; errors keep their traceback.
            "django.request": {"level": "ERROR", "filters": ["is_not_probe"]},
            "django.server": {"handlers": ["null"], "propagate": False},
            "gunicorn.error": {"handlers": [], "propagate": True},
        },
    }
