"""Imports in the browser: upload, look at what would be stored, import, revert."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _

from core_apps.media.responses import build_file_response
from core_apps.tasks.job_admin import JobAdmin
from core_apps.tasks.jobs import Job
from customers.importing.jobs import KINDS, start_step
from customers.models import FileImport
from customers.models.file_import import EXTENSIONS

ENCODINGS = ("utf-8", "utf-16", "windows-1252", "windows-1250", "windows-1251", "iso-8859-15", "macintosh", "cp850")
COUNTS = (
    ("rows", _("Rows")),
    ("created", _("Created")),
    ("updated", _("Updated")),
    ("unchanged", _("Unchanged")),
    ("repeated", _("Repeated in the file")),
    ("rejected", _("Rejected")),
    ("left_out", _("Values left out")),
    ("employers", _("Companies created for customers")),
)
Step = FileImport.Step


class UploadForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = FileImport
        fields = ("kind", "file")
        help_texts: ClassVar = {"file": _("CSV, Excel (.xlsx) or vCards. First you see what would be stored.")}
        widgets: ClassVar = {"file": forms.FileInput(attrs={"accept": ",".join(f".{name}" for name in EXTENSIONS)})}


class ColumnsForm(forms.Form):
    """The encoding of the file, and the field of each of its columns."""

    encoding = forms.ChoiceField(
        label=_("Encoding"), required=False, choices=[("", _("Detected")), *((name, name) for name in ENCODINGS)]
    )

    def __init__(self, job: FileImport, data: Any = None) -> None:
        super().__init__(data, initial={"encoding": job.encoding})
        self.assigned = dict(job.columns)
        kind = KINDS[FileImport.Kind(job.kind)]
        fields = [("", _("Leave out")), *((name, kind.labels.get(name, _("full name"))) for name in kind.presets)]
        columns = (job.report or {}).get("columns", [])
        self.headers = dict(enumerate(dict.fromkeys(name for name, _field in columns if name)))
        chosen = dict(reversed(columns))
        for number, header in self.headers.items():
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=header, required=False, choices=fields, initial=chosen[header]
            )

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Pairs of header and field, of what was changed: the others keep the order in which they fill a field."""
        fields = {header: f"column_{number}" for number, header in self.headers.items()}
        changed = {header: self.cleaned_data[name] for header, name in fields.items() if name in self.changed_data}
        return list((self.assigned | changed).items())


@admin.register(FileImport)
class FileImportAdmin(JobAdmin):
    """The page of an import shows its progress, its report, and what can be done next."""

    form = UploadForm
    list_display = ("name", "kind", "step", "state", "created_at")
    job_template = "admin/customers/fileimport/progress.html"
    get_pages = ("rejected",)
    post_pages = ("check", "import", "revert")

    def find(self, request: HttpRequest, key: Any) -> FileImport:
        if not self.has_add_permission(request):
            raise Http404
        return super().find(request, key)  # type: ignore[no-any-return]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.owner, obj.name, obj.total = request.user, obj.file.name, obj.file.size
        obj.state = Job.State.DONE  # nothing is under way
        super().save_model(request, obj, form, change)
        start_step(obj, Step.CHECK)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.redirect(obj)

    def render(self, request: HttpRequest, job: Any, **context: Any) -> HttpResponse:
        report = job.report or {}
        if job.can_be_checked:
            context.setdefault("form", ColumnsForm(job))
        counts = [(label, report[name]) for name, label in COUNTS if name in report]
        return super().render(request, job, counts=counts, **context)

    def rejected_view(self, request: HttpRequest, key: Any) -> HttpResponseBase:
        job = self.find(request, key)
        if not job.faults:
            raise Http404
        return build_file_response(request, str(job.faults.name))

    def check_view(self, request: HttpRequest, key: Any) -> HttpResponse:
        job = self.find(request, key)
        if job.can_be_checked:
            form = ColumnsForm(job, request.POST)
            if not form.is_valid():
                return self.render(request, job, form=form)
            start_step(job, Step.CHECK, encoding=form.cleaned_data["encoding"], columns=form.columns)
        return self.redirect(job)

    def import_view(self, request: HttpRequest, key: Any) -> HttpResponse:
        job = self.find(request, key)
        if job.can_be_imported:
            start_step(job, Step.IMPORT)
        return self.redirect(job)

    def revert_view(self, request: HttpRequest, key: Any) -> HttpResponse:
        job = self.find(request, key)
        if job.can_be_reverted:
            start_step(job, Step.REVERT)
        return self.redirect(job)
