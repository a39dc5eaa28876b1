from customers.models.capture import Capture
from customers.models.company import Company
from customers.models.customer import Customer
from customers.models.exhibition import Exhibition
from customers.models.follow_up import FollowUp
from customers.models.tag import Tag
from customers.models.visit import Visit

__all__ = ["Capture", "Company", "Customer", "Exhibition", "FollowUp", "Tag", "Visit"]
