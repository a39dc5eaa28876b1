from customers.importing import CUSTOMERS
from customers.management.import_command import ImportCommand


class Command(ImportCommand):
    help = "Import customers from a CSV file."
    kind = CUSTOMERS
