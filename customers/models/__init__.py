from customers.models.company import Company
from customers.models.customer import Customer
from customers.models.exhibition import Exhibition
from customers.models.visit import Visit

__all__ = ["Company", "Customer", "Exhibition", "Visit"]
