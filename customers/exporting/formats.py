from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from customers.exporting.delimited import write_csv
from customers.exporting.rows import Row
from customers.exporting.vcard import write_vcards
from customers.exporting.xlsx import TYPE, write_xlsx


@dataclass(frozen=True)
class Format:
    """A file format; its name is also the extension."""

    name: str
    label: str
    content_type: str
    write: Callable[[Iterable[list[Row]]], Iterator[bytes]]


FORMATS = {
    kind.name: kind
    for kind in (
        Format("csv", "CSV", "text/csv; charset=utf-8", write_csv),
        Format("xlsx", "Excel", f"{TYPE}.sheet", write_xlsx),
        Format("vcf", "vCard", "text/vcard; charset=utf-8", write_vcards),
    )
}
