"""The import of a whole file: one transaction, one report."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TypeVar

from django.db import Error, OperationalError, transaction

from customers.importing.kinds import Kind
from customers.importing.presets import Columns, match_columns
from customers.importing.problems import CannotImport, Fault, visible
from customers.importing.records import Record, Records, listed, open_records
from customers.importing.recordset import execute
from customers.importing.rejects import Refusal, Refusals, collect_refusals
from customers.importing.rows import Row, RowReader, RowRefused
from customers.importing.writer import Mode, Writer

# A batch is what one statement carries; the second limit holds the memory where rows are long.
MOST_ROWS = 5_000
MOST_CHARACTERS = 2**22
LOCK = 0x1A9E57  # any number, as long as nothing else in the database takes it

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """`assigned` are pairs of header and field; `errors` is where the refused rows are written as CSV."""

    mode: Mode = Mode.BOTH
    encoding: str = ""
    assigned: Sequence[tuple[str, str]] = ()
    errors: Path | None = None
    dry_run: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Report:
    """What happened to the rows of a file; where it was not `written`, what would have."""

    encoding: str
    delimiter: str
    ignored: Sequence[str]
    rows: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    refused: int
    employers: int  # companies created because customers name them
    refusals: Sequence[Refusal]  # the first of the refused rows
    written: bool
    seconds: float


def import_file(
    path: Path, kind: Kind, options: Options = Options(), progress: Callable[[int], object] = lambda _position: None
) -> Report:
    """Imports the records of a delimited text file.

    Valid rows are written and the others are refused, in one transaction: all is written, or nothing where
    the options say so (`dry_run`; `strict` and a refused row) or the file proves unusable. `progress` is called
    with the number of bytes read so far.

    Raises CannotImport, with a message for the person, when file or options are of no use, when another
    import is running, or when the database fails.
    """
    started = monotonic()
    with open_records(path, options.encoding) as records:
        columns = columns_for(kind, records.header, options)
        refuse_overwriting(path, options.errors)
        with collect_refusals(options.errors, records.header) as refusals, one_import_at_a_time():
            writer = Writer(kind, columns, options.mode, refusals)
            rows = import_rows(records, RowReader(kind, columns), writer, refusals, progress)
            written = not (options.dry_run or (options.strict and refusals.count))
            if not written:
                transaction.set_rollback(True)
    return Report(
        encoding=records.encoding,
        delimiter=records.delimiter,
        ignored=columns.ignored,
        rows=rows,
        created=writer.created,
        updated=writer.updated,
        unchanged=writer.unchanged,
        skipped=writer.skipped,
        refused=refusals.count,
        employers=writer.employers,
        refusals=refusals.first,
        written=written,
        seconds=monotonic() - started,
    )


def import_rows(
    records: Records, reader: RowReader, writer: Writer, refusals: Refusals, progress: Callable[[int], object]
) -> int:
    """Imports the records batch by batch, and returns how many there were."""
    count = 0
    for rows, refused in prepared_ahead(validated(batch, reader) for batch in batches(records)):
        for record, faults in refused:
            refusals.add(record, *faults)
        writer.write(rows)
        refusals.end_batch()
        count += len(rows) + len(refused)
        progress(records.position)
    if not count:
        raise CannotImport("The file has a header and no rows.")
    return count


def validated(batch: list[Record], reader: RowReader) -> tuple[list[Row], list[tuple[Record, tuple[Fault, ...]]]]:
    """The valid rows of the batch, and the records that are none."""
    rows, refused = [], []
    for record in batch:
        try:
            rows.append(reader.read(record))
        except RowRefused as reason:
            refused.append((record, reason.faults))
    return rows, refused


def prepared_ahead(batches: Iterator[T]) -> Iterator[T]:
    """The batches, each prepared in a thread while the database works on the one before.

    Nothing in that thread may ask the database: it would do so outside the transaction.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        upcoming = thread.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(next, batches, None)
            yield batch


def batches(records: Records) -> Iterator[list[Record]]:
    batch: list[Record] = []
    start = records.characters
    for record in records:
        batch.append(record)
        if len(batch) == MOST_ROWS or records.characters - start > MOST_CHARACTERS:
            yield batch
            batch, start = [], records.characters
    if batch:
        yield batch


def columns_for(kind: Kind, header: Sequence[str], options: Options) -> Columns:
    columns = match_columns(header, kind.presets, options.assigned)
    if not any(columns.positions[field] for field in kind.needed):
        needed = " or ".join(kind.needed)
        raise CannotImport(f"No column stands for {needed}: {listed(header)}. Map one of them to it.")
    return columns


def refuse_overwriting(path: Path, errors: Path | None) -> None:
    if errors and errors.exists() and (not errors.is_file() or errors.samefile(path)):
        what = "the file that is imported" if errors.is_file() else "not a file"
        raise CannotImport(f"{errors} is {what}: name another file for the refused rows.")


@contextmanager
def one_import_at_a_time() -> Iterator[None]:
    """A transaction; an import that another one keeps waiting for longer than the server's lock_timeout gives up."""
    try:
        with transaction.atomic():
            # A person may pause the terminal for longer than any request may idle.
            execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            try:
                execute("SELECT pg_advisory_xact_lock(%s)", LOCK)
            except OperationalError:
                raise CannotImport("Another import is running. Try again when it has ended.") from None
            yield
    except Error as error:
        reason = visible(str(error).partition("\n")[0])
        raise CannotImport(f"The database ended the import: {reason}. Nothing is written.") from error
