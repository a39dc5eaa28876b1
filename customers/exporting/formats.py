from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from customers.exporting.delimited import write_csv
from customers.exporting.vcard import write_vcards
from customers.exporting.xlsx import TYPE, write_xlsx


@dataclass(frozen=True)
class Format:
    name: str
    label: str
    extension: str
    content_type: str
    write: Callable[..., Iterator[bytes]]  # of the batches and the headings


FORMATS = {
    kind.name: kind
    for kind in (
        Format("csv", "CSV", "csv", "text/csv; charset=utf-8", write_csv),
        Format("xlsx", "Excel", "xlsx", f"{TYPE}.sheet", write_xlsx),
        Format("vcf", "vCard", "vcf", "text/vcard; charset=utf-8", write_vcards),
        Format("vcf4", "vCard 4.0", "vcf", "text/vcard; charset=utf-8", partial(write_vcards, version="4.0")),
    )
}
