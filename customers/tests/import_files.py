"""Helpers that write and import files."""

from pathlib import Path

from customers.importing import Kind, Options, Report, import_file


def import_text(kind: Kind, directory: Path, text: str, options: Options | None = None) -> Report:
    file = directory / "import.csv"
    file.write_text(text, encoding="utf-8")
    return import_file(file, kind, options or Options())


def outcome(report: Report) -> tuple[int, int, int, int, int]:
    """Created, updated, unchanged, skipped, rejected: together with the repeated they are always all rows."""
    counts = (report.created, report.updated, report.unchanged, report.skipped, report.rejected)
    assert sum(counts) + report.repeated == report.rows
    return counts


def rejects(report: Report) -> list[tuple[int, str, str, str]]:
    return [(reject.line, *problem) for reject in report.rejects for problem in reject.problems]


def omissions(report: Report) -> list[tuple[int, str, str, str]]:
    """Line, column, value and reason of each value left out."""
    return [(row.line, *problem) for row in report.omissions for problem in row.problems]
