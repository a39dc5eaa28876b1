from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from customers.exporting.delimited import as_csv
from customers.exporting.rows import Row
from customers.exporting.vcard import as_vcards
from customers.exporting.xlsx import TYPE, as_xlsx


@dataclass(frozen=True)
class Format:
    """A kind of file; its name is also the extension."""

    name: str
    label: str
    content_type: str
    written: Callable[[Iterable[list[Row]]], Iterator[bytes]]


FORMATS = {
    kind.name: kind
    for kind in (
        Format("csv", "CSV", "text/csv; charset=utf-8", as_csv),
        Format("xlsx", "Excel", f"{TYPE}.sheet", as_xlsx),
        Format("vcf", "vCard", "text/vcard; charset=utf-8", as_vcards),
    )
}
