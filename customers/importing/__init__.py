"""Import of companies and customers from delimited text files."""

from customers.importing.kinds import COMPANIES, CUSTOMERS, Kind
from customers.importing.problems import CannotImport
from customers.importing.service import Options, Report, import_file
from customers.importing.writer import Mode

__all__ = ["COMPANIES", "CUSTOMERS", "CannotImport", "Kind", "Mode", "Options", "Report", "import_file"]
