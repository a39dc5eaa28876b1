"""Certificates of attendance: the PDF of one visit, or a ZIP file with those of all visits to an exhibition.

They are for the visitor, so they contain neither the grade nor the notes of the team.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import IO, Any
from zipfile import ZipFile

import segno
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import get_valid_filename
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from core_apps.common.fields import get_country_names
from core_apps.media.pdf.renderer import RenderingError, start_renderer
from core_apps.tasks.kinds import RejectError, task
from core_apps.tasks.models import Queue, Task
from customers.downloads import DELAYS, make_file, record_failure
from customers.models import Download, Exhibition, Visit
from customers.querysets import VisitQuerySet

BATCH_SIZE = 100
MAX_NAME = 50  # characters of a file name, of up to four bytes each; file systems allow 255
Progress = Callable[[int], None]


@task("customers.certificate", Queue.CERTIFICATES, delays=DELAYS, on_failure=record_failure)
def make_certificate(task: Task, *, job: str, language: str, visit: int) -> None:
    def write(download: Download, file: IO[bytes], _progress: Progress) -> None:
        for _visit, pdf in render_certificates(download.owner, [visit]):
            file.write(pdf)

    make_file(task, job, language, write)


@task("customers.certificates", Queue.CERTIFICATES, delays=DELAYS, on_failure=record_failure)
def make_certificates(task: Task, *, job: str, language: str, exhibition: int) -> None:
    def write(download: Download, file: IO[bytes], progress: Progress) -> None:
        if not download.owner.has_perm("customers.export_visit"):
            raise RejectError(_("You may not export visits."))
        visits = find_visits(download.owner).filter(exhibition=exhibition, customer__archived_at=None)
        keys = visits.order_by("customer__family_name", "customer__given_name", "pk").values_list("pk", flat=True)
        write_archive(download, file, progress, list(keys))

    make_file(task, job, language, write)


def write_archive(download: Download, file: IO[bytes], progress: Progress, keys: list[int]) -> None:
    download.update(total=len(keys))
    certificates: Any = render_certificates(download.owner, keys)
    with ZipFile(file, "w") as archive, closing(certificates):  # stored, as PDFs are compressed
        for number, (visit, pdf) in enumerate(certificates, 1):
            archive.writestr(f"{number:05}-{build_name(visit)}", pdf)
            progress(number)


def find_visits(user: Any) -> VisitQuerySet:
    if not user.has_perm("customers.view_visit"):
        raise RejectError(_("You may not see visits."))
    return Visit.objects.visible_to(user)


def render_certificates(user: Any, keys: Sequence[int]) -> Iterator[tuple[Visit, bytes]]:
    """Yield the visits that the user may see, with their PDFs. Raises RejectError, also if there is none."""
    visits = find_visits(user).select_related("customer__company", "exhibition", "captured_by")
    is_empty = True
    with start_renderer() as render:
        for start in range(0, len(keys), BATCH_SIZE):
            batch = keys[start : start + BATCH_SIZE]
            found = visits.in_bulk(batch)  # without those that were deleted meanwhile
            for visit in filter(None, map(found.get, batch)):
                yield visit, render_certificate(visit, render)
                is_empty = False
    if is_empty:
        raise RejectError(_("There is no visit that you may see."))


def render_certificate(visit: Visit, render: Callable[[str], bytes]) -> bytes:
    try:
        return render(build_html(visit))
    except RenderingError as error:
        raise RejectError(f"{visit}: {error}") from error


def build_html(visit: Visit) -> str:
    exhibition = visit.exhibition
    # Not a link: visits have no public page. It names the visit to whoever may see it, and tells others nothing.
    code = segno.make(f"urn:uuid:{visit.public_id}", error="m")
    context = {
        "visit": visit,
        "name": visit.customer.full_name or _("Our guest"),
        "place": build_place(exhibition),
        "days": [date_format(day, "DATE_FORMAT") for day in dict.fromkeys((exhibition.starts_on, exhibition.ends_on))],
        "moment": date_format(visit.local_time, "DATETIME_FORMAT"),
        "today": timezone.localdate(),
        "qr_code": code.svg_data_uri(border=0),
        "issuer": settings.PROJECT_NAME,
    }
    return render_to_string("customers/certificate.html", context)


def build_place(exhibition: Exhibition) -> str:
    country = get_country_names(get_language() or "en").get(exhibition.country, "")
    return ", ".join(filter(None, (exhibition.venue, exhibition.city, country)))


def build_name(visit: Visit) -> str:
    """Return the name of its file."""
    name = str(visit.customer.full_name or visit.public_id)[:MAX_NAME]
    return get_valid_filename(f"{name}-{visit.local_time.date()}.pdf")
