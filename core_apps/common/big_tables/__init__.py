"""An admin for tables of any size: what a page costs does not grow with the table."""

from core_apps.common.big_tables.admin import BigTableAdmin, BigTableInline

__all__ = ["BigTableAdmin", "BigTableInline"]
