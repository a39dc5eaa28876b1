"""The base class of the import commands: arguments, progress, report and exit code."""

import sys
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from customers.importing import ImportFileError, Kind, Mode, Options, Report, import_file

ROWS_REJECTED, UNUSABLE, INTERRUPTED = 1, 2, 130  # exit codes; the last one is the shell's for Ctrl-C
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}


class ImportCommand(BaseCommand):
    kind: ClassVar[Kind]

    def add_arguments(self, parser: CommandParser) -> None:
        fields = ", ".join(self.kind.fields)
        parser.add_argument("file", type=Path, help="CSV with a header row; delimiter: comma, semicolon, tab or |")
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
        parser.add_argument("--errors", type=Path, metavar="CSV", help="write the rejected rows to this file")
        parser.add_argument("--strict", action="store_true", help="write nothing if a row is rejected")
        parser.add_argument("--dry-run", action="store_true", help="write nothing; report what would happen")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            report = self._import(file, options)
        except (ImportFileError, OSError) as error:
            raise CommandError(f"{file}: {error}", returncode=UNUSABLE) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was written.", returncode=INTERRUPTED) from None
        self._print_rejects(report)
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

    def _print_rejects(self, report: Report) -> None:
        for reject in report.rejects:
            for column, value, reason in reject.problems:
                where = f", {column} “{value}”" if column else ""
                self.stderr.write(f"Line {reject.line}{where}: {reason}")
        if report.rejected > len(report.rejects):
            self.stderr.write(
                f"… and {report.rejected - len(report.rejects):,} more; use --errors FILE to write all of them."
            )

    def _print_summary(self, report: Report) -> None:
        for outcome in ("rows", "created", "updated", "unchanged", "skipped", "rejected"):
            self.stdout.write(f"{outcome:<10}{getattr(report, outcome):>12,}")
        self.stdout.write(f"Encoding {report.encoding}, delimiter {DELIMITERS[report.delimiter]}.")
        if report.employers:
            self.stdout.write(f"Companies created for customers: {report.employers:,}.")
        if report.ignored:
            self.stdout.write(f"Columns ignored: {', '.join(report.ignored)}.")
        self.stdout.write(f"{report.seconds:.1f} s, {report.rows / report.seconds:,.0f} rows/s.")
        if not report.written:
            self.stdout.write("Nothing was written; this is what would have happened.")


def parse_mapping(text: str) -> tuple[str, str]:
    header, equals, field = text.rpartition("=")
    if not equals:
        raise ImportFileError(f"Invalid --map “{text}”. Use HEADER=FIELD.")
    return header, field
