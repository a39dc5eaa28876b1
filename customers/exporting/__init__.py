"""Customers as a file, written while it is read: the first byte comes at once, and no export is too long."""

from customers.exporting.formats import FORMATS, Format
from customers.exporting.rows import HEADINGS, Row, batches_of

__all__ = ["FORMATS", "HEADINGS", "Format", "Row", "batches_of"]
