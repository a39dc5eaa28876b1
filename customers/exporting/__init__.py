"""Streaming exports of customers in bounded memory."""

from customers.exporting.formats import FORMATS, Format
from customers.exporting.rows import HEADINGS, Row, fetch_batches

__all__ = ["FORMATS", "HEADINGS", "Format", "Row", "fetch_batches"]
