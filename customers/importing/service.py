"""The import of a whole file: one transaction, one report."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from django.db import Error, OperationalError, transaction
from django.utils.translation import activate, get_language
from django.utils.translation import gettext as _

from core_apps.history.cause import Source, caused_by
from customers.importing.findings import FaultyRow, Findings, collect_findings
from customers.importing.formats import Records, open_records
from customers.importing.headers import normalize_header, quote_names
from customers.importing.kinds import Kind
from customers.importing.presets import Columns, match_columns
from customers.importing.problems import ColumnsError, ImportBusyError, ImportFileError, Problem, escape_control
from customers.importing.records import Record
from customers.importing.recordset import execute
from customers.importing.rows import Row, RowError, RowReader
from customers.importing.writer import Mode, Writer

# A batch is written by one statement; the second limit bounds the memory if rows are long.
MAX_ROWS = 5_000
MAX_CHARACTERS = 2**22
LOCK = 0x1A9E57  # any number that no other advisory lock in the database uses

COUNTS = ("created", "updated", "unchanged", "repeated", "skipped", "employers")  # of a Writer

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """`assigned` are pairs of header and field; `errors` is where the faulty rows are written as CSV.

    `name` is the file's name in the history, if it is not that of the path.

    With `strict`, a row with any problem is rejected, and then nothing is written.
    """

    mode: Mode = Mode.BOTH
    encoding: str = ""
    assigned: Sequence[tuple[str, str]] = ()
    errors: Path | None = None
    dry_run: bool = False
    strict: bool = False
    name: str = ""


@dataclass(frozen=True)
class Report:
    """What happened to the rows of a file or, if not `written`, what would have happened."""

    description: str  # of the file
    columns: Sequence[tuple[str, str]]  # each header, and the field that is read from it, if any
    ignored: Sequence[str]
    alternatives: Mapping[str, Sequence[str]]  # headers of the columns of which a field takes the first filled one
    rows: int
    created: int
    updated: int
    unchanged: int
    repeated: int
    skipped: int
    rejected: int
    left_out: int  # values
    employers: int  # companies created because customers name them
    rejects: Sequence[FaultyRow]  # here and below: the first ones
    omissions: Sequence[FaultyRow]
    repeats: Sequence[tuple[int, int]]  # a line, and the line of the same company or customer
    similar: int  # rows that may stand for another customer
    lookalikes: Sequence[tuple[int, str, str]]  # a line, what it shares with a customer, and that customer
    sample: Sequence[tuple[int, Mapping[str, str]]]  # a line, and its values as stored
    written: bool
    seconds: float


def import_file(
    path: Path, kind: Kind, options: Options = Options(), progress: Callable[[int], object] = lambda _position: None
) -> Report:
    """Import the records of a CSV file, an Excel workbook or a vCard file in one transaction.

    Valid rows are written, the others are rejected. Nothing is written with `dry_run`, with `strict` and
    a rejected row, or if the file cannot be used. `progress` is called with the number of bytes read so far.

    Raises ImportFileError if file or options cannot be used, if another import is running, or if the
    database fails.
    """
    start = monotonic()
    with open_records(path, options.encoding, collect_known_headers(kind, options)) as records:
        columns = choose_columns(kind, records.header, options)
        check_errors_path(path, options.errors)
        with (
            collect_findings(options.errors, records.header) as findings,
            exclusive_transaction(),
            caused_by(Source.IMPORT, options.name or os.fsencode(path.name).decode(errors="replace")),
        ):
            writer = Writer(kind, columns, options.mode, findings, strict=options.strict)
            reader = RowReader(kind, columns, strict=options.strict)
            rows = import_rows(records, reader, writer, findings, progress)
            lookalikes = describe_lookalikes(kind, findings)
            written = not (options.dry_run or (options.strict and findings.rejected))
            if not written:
                transaction.set_rollback(True)
    return Report(
        **collect_report(kind, columns, writer, findings),
        description=records.description,
        rows=rows,
        lookalikes=lookalikes,
        written=written,
        seconds=monotonic() - start,
    )


def collect_known_headers(kind: Kind, options: Options) -> set[str]:
    names = {normalize_header(name) for headers in kind.presets.values() for name in headers}
    return names | {normalize_header(header) for header, _ in options.assigned}


def collect_report(kind: Kind, columns: Columns, writer: Writer, findings: Findings) -> dict[str, Any]:
    """Return what the parts of an import have counted and found, by the fields of Report."""
    return {
        **{name: getattr(writer, name) for name in COUNTS},
        "columns": columns.pairs,
        "ignored": columns.ignored,
        "alternatives": columns.alternatives,
        "rejected": findings.rejected,
        "left_out": findings.left_out,
        "rejects": findings.rejects,
        "omissions": findings.omissions,
        "repeats": findings.repeats,
        "similar": findings.similar,
        "sample": [(row.line, describe_row(kind, row)) for row in findings.sample],
    }


def describe_lookalikes(kind: Kind, findings: Findings) -> list[tuple[int, str, str]]:
    records = kind.model._default_manager.in_bulk([key for _, _, key in findings.lookalikes])
    return [(line, common, getattr(records[key], "label", "")) for line, common, key in findings.lookalikes]


def describe_row(kind: Kind, row: Row) -> dict[str, str]:
    """Return the values that are stored, by their label."""
    values = row.values | ({"company": row.employer} if row.employer else {})
    return {kind.labels[field]: str(values[field]) for field in kind.fields if values.get(field)}


def import_rows(
    records: Records, reader: RowReader, writer: Writer, findings: Findings, progress: Callable[[int], object]
) -> int:
    """Import the records batch by batch, and return their number."""
    count = 0
    for rows, rejected in prefetch(validate_batch(batch, reader) for batch in split_batches(records)):
        for record, problems in rejected:
            findings.reject(record, *problems)
        writer.write(rows)
        findings.end_batch()
        count += len(rows) + len(rejected)
        progress(records.position())
    if not count:
        raise ImportFileError(_("The file has a header and no rows."))
    return count


def validate_batch(
    batch: list[Record], reader: RowReader
) -> tuple[list[Row], list[tuple[Record, tuple[Problem, ...]]]]:
    """Return the valid rows of the batch, and the rejected records with their problems."""
    rows, rejected = [], []
    for record in batch:
        try:
            rows.append(reader.read(record))
        except RowError as error:
            rejected.append((record, error.problems))
    return rows, rejected


def prefetch(batches: Iterator[T]) -> Iterator[T]:
    """Yield the batches, preparing the next one in a thread while the database writes the current one.

    The thread must not query the database: it would do so outside the transaction. Its messages are in our language.
    """
    with ThreadPoolExecutor(max_workers=1, initializer=activate, initargs=(get_language(),)) as thread:
        upcoming = thread.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(next, batches, None)
            yield batch


def split_batches(records: Records) -> Iterator[list[Record]]:
    batch: list[Record] = []
    characters = 0
    for record in records:
        batch.append(record)
        characters += sum(map(len, record.cells)) + len(record.cells)  # blank cells take memory, too
        if len(batch) == MAX_ROWS or characters > MAX_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def choose_columns(kind: Kind, header: Sequence[str], options: Options) -> Columns:
    columns = match_columns(header, kind.presets, options.assigned)
    if not any(columns.positions[field] for field in kind.one_required):
        fields = " or ".join(kind.one_required)
        text = _("No column matches %(fields)s: %(columns)s. Map one of them.")
        raise ColumnsError(text % {"fields": fields, "columns": quote_names(header)}, header)
    return columns


def check_errors_path(path: Path, errors: Path | None) -> None:
    if errors and errors.exists() and (not errors.is_file() or errors.samefile(path)):
        what = "the file to import" if errors.is_file() else "not a file"
        raise ImportFileError(f"{errors} is {what}: choose another file for the rejected rows.")


@contextmanager
def exclusive_transaction() -> Iterator[None]:
    """A transaction that waits for another import at most as long as the server's lock_timeout."""
    try:
        with transaction.atomic():
            # Somebody may pause the terminal for longer than the limit for requests.
            execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            try:
                execute("SELECT pg_advisory_xact_lock(%s)", LOCK)
            except OperationalError:
                raise ImportBusyError(_("Another import is running. Try again when it has finished.")) from None
            yield
    except Error as error:
        reason = escape_control(str(error).partition("\n")[0])
        text = _("The database aborted the import: %s. Nothing was written.")
        raise ImportFileError(text % reason) from error
