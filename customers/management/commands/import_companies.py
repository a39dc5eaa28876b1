from customers.importing import COMPANIES
from customers.management.import_command import ImportCommand


class Command(ImportCommand):
    help = "Import companies from a CSV file."
    kind = COMPANIES
