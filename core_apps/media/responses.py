"""Uploaded files on their way out; who may have one is the caller's to ask."""

from pathlib import PurePosixPath
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase

HEADERS = {
    # A name is never used for a second file; a shared cache would show it to everybody.
    "Cache-Control": "private, max-age=3600",
    # Whatever was uploaded, nothing in it runs, and it is taken for nothing but what its name says.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
# What a browser may show; whatever else lies there is downloaded.
SHOWN = frozenset({".jpeg", ".jpg", ".png", ".webp"})


def sent(name: str) -> HttpResponseBase:
    """The file of that name below MEDIA_ROOT, from here or by nginx. Raises Http404."""
    try:
        file = default_storage.open(name, "rb")
    except FileNotFoundError:
        raise Http404(f"The file {name} is gone.") from None
    is_shown = PurePosixPath(name).suffix.lower() in SHOWN
    response = FileResponse(file, as_attachment=not is_shown, headers=HEADERS)
    if not settings.MEDIA_ACCEL_URL:
        return response
    file.close()
    return handed_to_nginx(response, name)


def handed_to_nginx(response: FileResponse, name: str) -> HttpResponse:
    """The same answer, whose body nginx fetches by itself; it unquotes the path."""
    headers = {header: value for header, value in response.headers.items() if header != "Content-Length"}
    return HttpResponse(headers=headers | {"X-Accel-Redirect": settings.MEDIA_ACCEL_URL + quote(name)})
