"""Responses with uploaded files. The caller checks permissions."""

from pathlib import PurePosixPath
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse
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


def build_file_response(name: str, download_name: str = "") -> HttpResponseBase:
    """The file below MEDIA_ROOT, sent by Django or by nginx; downloaded under the other name. Raises Http404."""
    try:
        file = default_storage.open(name, "rb")
    except FileNotFoundError:
        raise Http404(f"The file {name} does not exist.") from None
    is_inline = PurePosixPath(name).suffix.lower() in INLINE_SUFFIXES and not download_name
    response = FileResponse(file, as_attachment=not is_inline, filename=download_name, headers=HEADERS)
    if not settings.MEDIA_ACCEL_URL:
        return response
    file.close()
    return build_accel_response(response, name)


def build_accel_response(response: FileResponse, name: str) -> HttpResponse:
    """The same response, with the body sent by nginx, which unquotes the path."""
    headers = {header: value for header, value in response.headers.items() if header != "Content-Length"}
    return HttpResponse(headers=headers | {"X-Accel-Redirect": settings.MEDIA_ACCEL_URL + quote(name)})
