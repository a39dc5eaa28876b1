"""A limit for the size of a request, so that uploads cannot fill the memory or the disk."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language_from_request, override
from django.utils.translation import gettext as _

MEGABYTE = 2**20  # bytes, as in nginx's client_max_body_size


class UploadLimitMiddleware:
    """Returns 413 if Content-Length is above UPLOAD_LIMIT_MB, without reading the body.

    Bodies without Content-Length need no check: Django does not read them.
    No `Connection: close`: PEP 3333 reserves it for the server, and runserver fails on it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if get_content_length(request) > settings.UPLOAD_LIMIT_MB * MEGABYTE:
            return build_too_large_response(request)
        return self.get_response(request)


def get_content_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() else 0


def build_too_large_response(request: HttpRequest) -> HttpResponse:
    # LocaleMiddleware runs later.
    with override(get_language_from_request(request)):
        text = _(
            "The upload exceeds the limit of %(limit)s MB; nothing was saved. "
            "Go back and choose a smaller file. "
            "The administrator of this site can raise the limit: UPLOAD_LIMIT_MB."
        ) % {"limit": settings.UPLOAD_LIMIT_MB}
    return HttpResponse(f"{text}\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content_type="text/plain")
