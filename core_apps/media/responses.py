"""Responses with uploaded files. The caller checks permissions."""

from pathlib import PurePosixPath
from urllib.parse import quote

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

HEADERS = {
    # Names are never reused. Private, because a shared cache would show the file to everybody.
    "Cache-Control": "private, max-age=3600",
    # An uploaded file must not run scripts or be sniffed as another type.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
# Shown in the browser; all other files are downloaded.
INLINE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".webp"})


def build_file_response(request: HttpRequest, name: str, download_name: str = "") -> HttpResponseBase:
    """The file, sent by Django, by nginx or by the bucket; downloaded under the other name. Raises Http404."""
    if not default_storage.exists(name):
        raise Http404(f"The file {name} does not exist.")
    is_inline = PurePosixPath(name).suffix.lower() in INLINE_SUFFIXES and not download_name
    is_sent_here = not (settings.MEDIA_BUCKET or settings.MEDIA_ACCEL_URL)
    file = default_storage.open(name, "rb") if is_sent_here else ContentFile(b"", name)
    response = FileResponse(file, as_attachment=not is_inline, filename=download_name, headers=HEADERS)
    if settings.MEDIA_BUCKET:
        return build_redirect(request, response, name)
    return build_accel_response(response, name) if settings.MEDIA_ACCEL_URL else response


def build_redirect(request: HttpRequest, response: FileResponse, name: str) -> HttpResponse:
    """To a link of the bucket, so that no thread is occupied while the file is sent, and files have another origin."""
    link = default_storage.build_link(name, response.headers, request.method)  # type: ignore[attr-defined]
    return HttpResponseRedirect(link, headers={"Cache-Control": "private, max-age=30"})  # of the 60 s of the link


def build_accel_response(response: FileResponse, name: str) -> HttpResponse:
    """The same response, with the body sent by nginx, which unquotes the path."""
    headers = {header: value for header, value in response.headers.items() if header != "Content-Length"}
    return HttpResponse(headers=headers | {"X-Accel-Redirect": settings.MEDIA_ACCEL_URL + quote(name)})
