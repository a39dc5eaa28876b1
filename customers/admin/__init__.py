"""The pages a stand team works with; each write is a form or a service, each read a QuerySet method."""

from customers.admin import company, customer, exhibition, follow_up, tag, visit

__all__ = ["company", "customer", "exhibition", "follow_up", "tag", "visit"]
