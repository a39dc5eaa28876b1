"""The admin pages; writes are forms or services, reads are QuerySet methods."""

from customers.admin import company, customer, download, exhibition, file_import, follow_up, tag, visit

__all__ = ["company", "customer", "download", "exhibition", "file_import", "follow_up", "tag", "visit"]
