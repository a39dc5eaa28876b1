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
from customers.importing.problems import ImportFileError, Problem, escape_control
from customers.importing.records import Record, Records, open_records, quote_names
from customers.importing.recordset import execute
from customers.importing.rejects import RejectedRow, RejectedRows, collect_rejects
from customers.importing.rows import Row, RowError, RowReader
from customers.importing.writer import Mode, Writer

# A batch is written by one statement; the second limit bounds the memory if rows are long.
MAX_ROWS = 5_000
MAX_CHARACTERS = 2**22
LOCK = 0x1A9E57  # any number that no other advisory lock in the database uses

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """`assigned` are pairs of header and field; `errors` is where the rejected rows are written as CSV."""

    mode: Mode = Mode.BOTH
    encoding: str = ""
    assigned: Sequence[tuple[str, str]] = ()
    errors: Path | None = None
    dry_run: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Report:
    """What happened to the rows of a file or, if not `written`, what would have happened."""

    encoding: str
    delimiter: str
    ignored: Sequence[str]
    rows: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    rejected: int
    employers: int  # companies created because customers name them
    rejects: Sequence[RejectedRow]  # the first of the rejected rows
    written: bool
    seconds: float


def import_file(
    path: Path, kind: Kind, options: Options = Options(), progress: Callable[[int], object] = lambda _position: None
) -> Report:
    """Import the records of a delimited text file in one transaction.

    Valid rows are written, the others are rejected. Nothing is written with `dry_run`, with `strict` and
    a rejected row, or if the file cannot be used. `progress` is called with the number of bytes read so far.

    Raises ImportFileError if file or options cannot be used, if another import is running, or if the
    database fails.
    """
    start = monotonic()
    with open_records(path, options.encoding) as records:
        columns = choose_columns(kind, records.header, options)
        check_errors_path(path, options.errors)
        with collect_rejects(options.errors, records.header) as rejects, exclusive_transaction():
            writer = Writer(kind, columns, options.mode, rejects)
            rows = import_rows(records, RowReader(kind, columns), writer, rejects, progress)
            written = not (options.dry_run or (options.strict and rejects.count))
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
        rejected=rejects.count,
        employers=writer.employers,
        rejects=rejects.first,
        written=written,
        seconds=monotonic() - start,
    )


def import_rows(
    records: Records, reader: RowReader, writer: Writer, rejects: RejectedRows, progress: Callable[[int], object]
) -> int:
    """Import the records batch by batch, and return their number."""
    count = 0
    for rows, rejected in prefetch(validate_batch(batch, reader) for batch in split_batches(records)):
        for record, problems in rejected:
            rejects.add(record, *problems)
        writer.write(rows)
        rejects.end_batch()
        count += len(rows) + len(rejected)
        progress(records.position)
    if not count:
        raise ImportFileError("The file has a header and no rows.")
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

    The thread must not query the database: it would do so outside the transaction.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        upcoming = thread.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(next, batches, None)
            yield batch


def split_batches(records: Records) -> Iterator[list[Record]]:
    batch: list[Record] = []
    start = records.characters
    for record in records:
        batch.append(record)
        if len(batch) == MAX_ROWS or records.characters - start > MAX_CHARACTERS:
            yield batch
            batch, start = [], records.characters
    if batch:
        yield batch


def choose_columns(kind: Kind, header: Sequence[str], options: Options) -> Columns:
    columns = match_columns(header, kind.presets, options.assigned)
    if not any(columns.positions[field] for field in kind.one_required):
        fields = " or ".join(kind.one_required)
        raise ImportFileError(f"No column matches {fields}: {quote_names(header)}. Map one of them.")
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
                raise ImportFileError("Another import is running. Try again when it has finished.") from None
            yield
    except Error as error:
        reason = escape_control(str(error).partition("\n")[0])
        raise ImportFileError(f"The database aborted the import: {reason}. Nothing was written.") from error
