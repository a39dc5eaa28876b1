"""Streaming exports of customers, visits and follow-ups in bounded memory."""

from customers.exporting.formats import FORMATS, Format
from customers.exporting.limits import ExportPlace, LimitedContent, TooManyExportsError
from customers.exporting.log import create_log_entry, find_last_export, log_outcome
from customers.exporting.rows import fetch_batches
from customers.exporting.tables import HEADINGS, TABLES, Row

__all__ = [
    "FORMATS",
    "HEADINGS",
    "TABLES",
    "ExportPlace",
    "Format",
    "LimitedContent",
    "Row",
    "TooManyExportsError",
    "create_log_entry",
    "fetch_batches",
    "find_last_export",
    "log_outcome",
]
