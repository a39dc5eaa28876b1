from customers.models.calendar_feed import CalendarFeed
from customers.models.capture import Capture
from customers.models.company import Company
from customers.models.customer import Customer
from customers.models.download import Download
from customers.models.exhibition import Exhibition
from customers.models.file_import import FileImport
from customers.models.follow_up import FollowUp
from customers.models.tag import Tag
from customers.models.visit import Visit

__all__ = [
    "CalendarFeed",
    "Capture",
    "Company",
    "Customer",
    "Download",
    "Exhibition",
    "FileImport",
    "FollowUp",
    "Tag",
    "Visit",
]
