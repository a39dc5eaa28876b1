"""What the import commands share: arguments, progress, report and exit code."""

import sys
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from customers.importing import CannotImport, Kind, Mode, Options, Report, import_file

REFUSED, UNUSABLE, INTERRUPTED = 1, 2, 130  # exit codes; the last one is the shell's for Ctrl-C
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class ImportCommand(BaseCommand):
    kind: ClassVar[Kind]

    def add_arguments(self, parser: CommandParser) -> None:
        fields = ", ".join(self.kind.fields)
        parser.add_argument("file", type=Path, help="CSV with a header; separated by comma, semicolon, tab or |")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="HEADER=FIELD",
            help=f"take FIELD from the column HEADER; may be repeated; fields: {fields}",
        )
        parser.add_argument("--mode", choices=[*Mode], default=Mode.BOTH, help="what may happen to rows (both)")
        parser.add_argument("--encoding", default="", help="of the file, such as windows-1252; detected if not given")
        parser.add_argument("--errors", type=Path, metavar="CSV", help="write the refused rows to this file")
        parser.add_argument("--strict", action="store_true", help="write nothing if a row is refused")
        parser.add_argument("--dry-run", action="store_true", help="write nothing, and say what would happen")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            report = self._import(file, options)
        except (CannotImport, OSError) as reason:
            raise CommandError(f"{file}: {reason}", returncode=UNUSABLE) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing is written.", returncode=INTERRUPTED) from None
        self._print_refusals(report)
        self._print_summary(report)
        if report.refused:
            raise CommandError(f"Rows refused: {report.refused:,}.", returncode=REFUSED)

    def _import(self, file: Path, options: dict[str, Any]) -> Report:
        chosen = Options(
            mode=Mode(options["mode"]),
            encoding=options["encoding"],
            assigned=[assignment(text) for text in options["map"]],
            errors=options["errors"],
            dry_run=options["dry_run"],
            strict=options["strict"],
        )
        size = file.stat().st_size if file.is_file() else 0
        # Without a terminal there is nobody to watch it.
        with tqdm(total=size, unit="B", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:
            return import_file(file, self.kind, chosen, lambda position: bar.update(position - bar.n))

    def _print_refusals(self, report: Report) -> None:
        for refusal in report.refusals:
            for column, value, reason in refusal.faults:
                where = f", {column} “{value}”" if column else ""
                self.stderr.write(f"Line {refusal.line}{where}: {reason}")
        if report.refused > len(report.refusals):
            self.stderr.write(f"… and {report.refused - len(report.refusals):,} more; --errors FILE writes them all.")

    def _print_summary(self, report: Report) -> None:
        for outcome in ("rows", "created", "updated", "unchanged", "skipped", "refused"):
            self.stdout.write(f"{outcome:<10}{getattr(report, outcome):>12,}")
        self.stdout.write(f"Read as {report.encoding}, separated by {SEPARATORS[report.delimiter]}.")
        if report.employers:
            self.stdout.write(f"Companies created because customers name them: {report.employers:,}.")
        if report.ignored:
            self.stdout.write(f"Columns ignored: {', '.join(report.ignored)}.")
        self.stdout.write(f"{report.seconds:.1f} s, {report.rows / report.seconds:,.0f} rows/s.")
        if not report.written:
            self.stdout.write("Nothing is written; this is what would have happened.")


def assignment(text: str) -> tuple[str, str]:
    header, equals, field = text.rpartition("=")
    if not equals:
        raise CannotImport(f"--map takes HEADER=FIELD, not “{text}”.")
    return header, field
