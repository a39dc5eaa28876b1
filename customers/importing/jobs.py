"""Imports that somebody watches in the browser: each step of one is a background task."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from django.core.files import File
from django.db import OperationalError, transaction
from django.utils.translation import get_language, override

from core_apps.history.cause import Source, caused_by
from core_apps.history.models import Change
from core_apps.tasks.jobs import Job, JobCancelledError, watch
from core_apps.tasks.kinds import RetryError, task
from core_apps.tasks.models import Queue, Task
from customers.importing.findings import FaultyRow
from customers.importing.kinds import COMPANIES, CUSTOMERS
from customers.importing.problems import ImportBusyError, ImportFileError
from customers.importing.revert import revert_import
from customers.importing.service import Options, Report, import_file
from customers.models import FileImport

KINDS = {FileImport.Kind.CUSTOMERS: CUSTOMERS, FileImport.Kind.COMPANIES: COMPANIES}
Step = FileImport.Step


@transaction.atomic
def start_step(job: FileImport, step: FileImport.Step, **values: Any) -> None:
    """Begin the step in the background with these values, unless one is under way."""
    idle = FileImport.objects.filter(pk=job.pk).exclude(state__in=Job.ACTIVE)
    if idle.update(step=step, state=Job.State.WAITING, done=0, error="", **values):
        run_step.enqueue(job=str(job.pk), language=get_language())


def record_failure(_state: Task.State, error: str, *, job: str, language: str) -> None:
    FileImport.objects.filter(pk=job, state__in=Job.ACTIVE).update(state=Job.State.FAILED, error=error)


@task("customers.import_step", Queue.PROGRESS, delays=(5, 10, 20, 60, 300), on_failure=record_failure)
def run_step(task: Task, *, job: str, language: str) -> None:
    file_import = FileImport.objects.filter(pk=job, state__in=Job.ACTIVE).first()
    if file_import is None:  # cancelled or deleted
        return
    with override(language), caused_by(Source.IMPORT, user=file_import.owner_id):
        try:
            run(file_import, task)
        except JobCancelledError:
            return
        except ImportBusyError as error:
            raise RetryError(str(error)) from error
        except ImportFileError as error:
            if isinstance(error.__cause__, OperationalError):  # the database is away
                raise RetryError(str(error)) from error
            columns = [(name, "") for name in getattr(error, "header", ())]
            report = {"columns": columns} if columns else file_import.report
            file_import.update(state=Job.State.FAILED, error=str(error), report=report)


def run(job: FileImport, task: Task) -> None:
    """Do the step and record its outcome, both in one transaction, so that a step that is repeated begins again."""
    with watch(job, task) as progress, transaction.atomic():
        if job.step == Step.REVERT:
            reverted = revert_import(Change.objects.get(pk=job.change or 0))
            outcome = {"report": (job.report or {}) | {"reverted": asdict(reverted)}}
        else:
            outcome = check_or_import(job, progress)
        job.update(state=Job.State.DONE, done=job.total, **outcome)


def check_or_import(job: FileImport, progress: Callable[[int], None]) -> dict[str, Any]:
    with TemporaryDirectory() as directory:
        copy = Path(directory, PurePosixPath(str(job.file.name)).name)
        with job.file.open() as file, copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        errors = copy.with_suffix(".rejected.csv")
        options = Options(
            name=job.name,
            encoding=job.encoding,
            assigned=job.columns,
            errors=errors,
            dry_run=job.step == Step.CHECK,
        )
        newest = Change.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        report = import_file(copy, KINDS[FileImport.Kind(job.kind)], options, progress)
        changes = Change.objects.filter(pk__gt=newest, source=Source.IMPORT, user=job.owner_id)
        change = changes.values_list("pk", flat=True).last()
        faults = store_faults(job, errors) if report.rejected or report.left_out else ""
    return {"report": describe_report(report), "faults": faults, "change": change}


def store_faults(job: FileImport, errors: Path) -> str:
    """Store the file in place of that of an earlier step, and return its name."""
    name = str(PurePosixPath(str(job.file.name)).with_name(errors.name))
    job.file.storage.delete(name)
    with errors.open("rb") as file:
        return str(job.file.storage.save(name, File(file)))


def describe_report(report: Report) -> dict[str, Any]:
    """Return the report as JSON, without the cells of faulty rows, which are in their file."""
    lists = {name: [describe_fault(row) for row in getattr(report, name)] for name in ("rejects", "omissions")}
    # As pairs, because a JSON object has no order.
    sample = [(line, list(values.items())) for line, values in report.sample]
    return vars(report) | lists | {"sample": sample}


def describe_fault(row: FaultyRow) -> dict[str, Any]:
    return {"line": row.line, "problems": [problem._asdict() for problem in row.problems]}
