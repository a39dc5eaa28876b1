"""Import of companies and customers from delimited text, workbooks and vCards."""

from customers.importing.kinds import COMPANIES, CUSTOMERS, Kind
from customers.importing.problems import ImportFileError
from customers.importing.service import Options, Report, import_file
from customers.importing.writer import Mode

__all__ = ["COMPANIES", "CUSTOMERS", "ImportFileError", "Kind", "Mode", "Options", "Report", "import_file"]
