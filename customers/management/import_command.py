"""The base class of the import commands: arguments, progress, report and exit code."""

import sys
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from customers.importing import ImportFileError, Kind, Mode, Options, Report, import_file
from customers.importing.problems import escape_control

ROWS_REJECTED, UNUSABLE, INTERRUPTED = 1, 2, 130  # exit codes; the last one is the shell's for Ctrl-C
MAX_VALUE = 40  # characters of a value in the sample


class ImportCommand(BaseCommand):
    kind: ClassVar[Kind]

    def add_arguments(self, parser: CommandParser) -> None:
        fields = ", ".join(self.kind.fields)
        parser.add_argument("file", type=Path, help="CSV with a header row, Excel workbook (.xlsx) or vCards")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="HEADER=FIELD",
            help=f"read FIELD from the column HEADER; may be repeated; fields: {fields}",
        )
        parser.add_argument(
            "--mode", choices=[*Mode], default=Mode.BOTH, help="create rows, update rows, or both (the default)"
        )
        parser.add_argument(
            "--encoding", default="", help="encoding of the file, such as windows-1252; detected by default"
        )
        parser.add_argument(
            "--errors", type=Path, metavar="CSV", help="write rejected rows, and those with values left out, here"
        )
        parser.add_argument(
            "--strict",
            action="store_true",
            help="reject rows with any invalid value or a repeat, and then write nothing",
        )
        parser.add_argument("--dry-run", action="store_true", help="write nothing; report what would happen")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            report = self._import(file, options)
        except (ImportFileError, OSError) as error:
            raise CommandError(f"{file}: {error}", returncode=UNUSABLE) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was written.", returncode=INTERRUPTED) from None
        self._print_faults(report)
        self._print_summary(report)
        if report.rejected:
            raise CommandError(f"Rows rejected: {report.rejected:,}.", returncode=ROWS_REJECTED)

    def _import(self, file: Path, options: dict[str, Any]) -> Report:
        chosen = Options(
            mode=Mode(options["mode"]),
            encoding=options["encoding"],
            assigned=[parse_mapping(text) for text in options["map"]],
            errors=options["errors"],
            dry_run=options["dry_run"],
            strict=options["strict"],
        )
        size = file.stat().st_size if file.is_file() else 0
        # The progress bar is for a terminal only.
        with tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:
            return import_file(file, self.kind, chosen, lambda position: bar.update(position - bar.n))

    def _print_faults(self, report: Report) -> None:
        """Print the rejected rows as errors, the values left out as part of the report."""
        for stream, rows, what in ((self.stderr, report.rejects, ""), (self.stdout, report.omissions, " left out")):
            for row in rows:
                for column, value, reason in row.problems:
                    where = f", {column} “{value}”{what}" if column else ""
                    stream.write(f"Line {row.line}{where}: {reason}")
        if report.rejected > len(report.rejects):
            more = report.rejected - len(report.rejects)
            self.stderr.write(f"… and {more:,} more; use --errors FILE to write all of them.")
        if (more := report.left_out - sum(len(row.problems) for row in report.omissions)) > 0:
            self.stdout.write(f"… and {more:,} more values left out; use --errors FILE to write all of their rows.")

    def _print_summary(self, report: Report) -> None:
        for outcome in ("rows", "created", "updated", "unchanged", "repeated", "skipped", "rejected"):
            self.stdout.write(f"{outcome:<10}{getattr(report, outcome):>12,}")
        self.stdout.write(f"{report.description}.")
        self._print_columns(report)
        if report.repeats:
            lines = ", ".join(f"{line:,} as {first:,}" for line, first in report.repeats)
            more = ", …" if report.repeated > len(report.repeats) else ""
            self.stdout.write(f"Lines for the same {self.kind.model._meta.verbose_name}: {lines}{more}.")
        for line, common, label in report.lookalikes:
            self.stdout.write(f"Line {line:,} may be {escape_control(label)}: same {common}.")
        if report.similar > len(report.lookalikes):
            self.stdout.write(f"… and {report.similar - len(report.lookalikes):,} more that may be known.")
        self._print_sample(report)
        self.stdout.write(f"{report.seconds:.1f} s, {report.rows / report.seconds:,.0f} rows/s.")
        if not report.written:
            self.stdout.write("Nothing was written; this is what would have happened.")

    def _print_columns(self, report: Report) -> None:
        if report.employers:
            self.stdout.write(f"Companies created for customers: {report.employers:,}.")
        for field, headers in report.alternatives.items():
            self.stdout.write(f"{self.kind.labels[field].capitalize()}: the first filled of {', '.join(headers)}.")
        if report.ignored:
            self.stdout.write(f"Columns ignored: {', '.join(report.ignored)}.")

    def _print_sample(self, report: Report) -> None:
        if report.sample:
            self.stdout.write("As stored:")
        for line, values in report.sample:
            texts = (f"{label}: {shorten_value(value)}" for label, value in values.items())
            self.stdout.write(f"  line {line:,}  {' | '.join(texts)}")


def shorten_value(value: str) -> str:
    return escape_control(value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…")


def parse_mapping(text: str) -> tuple[str, str]:
    header, equals, field = text.rpartition("=")
    if not equals:
        raise ImportFileError(f"Invalid --map “{text}”. Use HEADER=FIELD.")
    return header, field
