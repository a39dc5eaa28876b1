"""XLSX (ECMA-376), written row by row: only the required parts, with inline strings.

openpyxl's write-only mode writes each sheet to a temporary file first, and is far slower: `make bench-export`.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from zipfile import ZIP_DEFLATED, ZipFile

from customers.exporting.rows import BATCH_SIZE
from customers.exporting.tables import HEADINGS, TAG_SEPARATOR, Row
from customers.spreadsheets import protect_cell

BATCHES_PER_SHEET = 1_048_575 // BATCH_SIZE  # Excel's maximum of rows, less the headings
COMPRESSION = 1  # of 9: a quarter larger than usual, and three times as fast

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

# Wide enough for a date: Excel shows #### otherwise.
WIDTH = '<sheetFormatPr defaultColWidth="20" defaultRowHeight="15"/>'
SHEET_START = f'{HEAD}<worksheet xmlns="{MAIN}">{WIDTH}<sheetData>'
SHEET_END = "</sheetData></worksheet>"
CELL, CELL_END = '<c t="inlineStr"><is><t>', "</t></is></c>"
BETWEEN = CELL_END + CELL
EMPTY = CELL + CELL_END
# Used only if needed: everywhere, it would be a third of the data to compress.
PRESERVED = '<t xml:space="preserve">'
# Style 0 is plain, 1 a date with a time. Excel requires the rest, which is not used.
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill><patternFill patternType="none"/></fill></fills><borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
DAY_0 = datetime(1899, 12, 30)  # cells have no time zone
SECONDS_PER_DAY = 86_400

# Separates cells while a row is escaped as a whole; PostgreSQL allows no NUL in a text.
DIVIDER = "\0"
# Characters that XML 1.0 cannot represent.
ILLEGAL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1e\ufffe\uffff]")
# Excel reads _x0041_ as the letter A anywhere in a text.
CODED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
SPACE_BEFORE, SPACE_AFTER = f"{DIVIDER} ", f" {DIVIDER}"


class ZipBuffer:
    """The file object of the archive; `take` returns what was written since the last call."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self.parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        content = b"".join(self.parts)
        self.parts.clear()
        return content


def write_xlsx(
    batches: Iterable[list[Row]], headings: Row = HEADINGS, batches_per_sheet: int = BATCHES_PER_SHEET
) -> Iterator[bytes]:
    """Yield the workbook; an aborted download cannot be opened, as the archive's directory comes last."""
    buffer, sheets = ZipBuffer(), 0
    with ZipFile(buffer, "w", ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:  # type: ignore[call-overload]
        batches = iter(batches)
        batch: list[Row] | None = next(batches, [])
        while batch is not None:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                sheet.write((SHEET_START + build_cells(DIVIDER.join(headings))).encode())
                for rows in chain([batch], islice(batches, batches_per_sheet - 1)):
                    sheet.write("".join(map(build_row, rows)).encode())
                    yield buffer.take()
                sheet.write(SHEET_END.encode())
            batch = next(batches, None)
        for name, content in build_workbook_parts(sheets):
            archive.writestr(name, HEAD + content)
    yield buffer.take()


def build_row(row: Row) -> str:
    text = DIVIDER.join(row[:-1])
    if "'" in text or '="' in text:
        text = DIVIDER.join(map(protect_cell, row[:-1]))
    if ILLEGAL.search(text):
        text = ILLEGAL.sub("", text)
    if "_x" in text:
        text = CODED.sub("_x005F_", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("\r", "_x000D_").replace(TAG_SEPARATOR, ", ")
    # Readers may strip a text and join its lines.
    is_spaced = SPACE_BEFORE in text or SPACE_AFTER in text or "\n" in text or "\t" in text
    days = (datetime.fromisoformat(row[-1]) - DAY_0).total_seconds() / SECONDS_PER_DAY
    cells = build_cells(text, f'<c s="1"><v>{days:.8f}</v></c>')
    return cells.replace("<t>", PRESERVED) if is_spaced else cells


def build_cells(texts: str, last: str = "") -> str:
    return f"<row>{CELL}{texts.replace(DIVIDER, BETWEEN)}{CELL_END}{last}</row>".replace(EMPTY, "<c/>")


def build_workbook_parts(sheets: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each part other than the sheets."""
    numbers = range(1, sheets + 1)
    parts = [("workbook", f"{TYPE}.sheet.main+xml"), ("styles", f"{TYPE}.styles+xml")]
    parts += [(f"worksheets/sheet{number}", f"{TYPE}.worksheet+xml") for number in numbers]
    types = "".join(f'<Override PartName="/xl/{name}.xml" ContentType="{kind}"/>' for name, kind in parts)
    rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    yield "[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{rels}{types}</Types>'
    yield "_rels/.rels", build_relationships([("officeDocument", "xl/workbook.xml")])
    named = "".join(f'<sheet name="Rows {number}" sheetId="{number}" r:id="rId{number}"/>' for number in numbers)
    yield "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{named}</sheets></workbook>'
    targets = [("worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    yield "xl/_rels/workbook.xml.rels", build_relationships([*targets, ("styles", "styles.xml")])
    yield "xl/styles.xml", STYLES


def build_relationships(targets: list[tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'
