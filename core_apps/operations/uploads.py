"""One limit for the size of a request, so that nobody fills the memory or the disk with uploads."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language_from_request, override
from django.utils.translation import gettext as _

MEGABYTE = 2**20  # bytes, as in nginx's client_max_body_size


class UploadLimitMiddleware:
    """Answers 413 to a request whose announced body is above UPLOAD_LIMIT_MB, without reading any of it.

    A body of unannounced length has no place here: Django reads none.
    No `Connection: close`: PEP 3333 leaves that header to the server, and runserver ends the request over it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if announced_bytes(request) > settings.UPLOAD_LIMIT_MB * MEGABYTE:
            return too_large(request)
        return self.get_response(request)


def announced_bytes(request: HttpRequest) -> int:
    announced = request.META.get("CONTENT_LENGTH") or ""
    return int(announced) if announced.isdecimal() else 0


def too_large(request: HttpRequest) -> HttpResponse:
    # LocaleMiddleware comes later.
    with override(get_language_from_request(request)):
        text = _(
            "This upload is larger than the limit of %(limit)s MB, and nothing of it was kept. "
            "Go back and choose a smaller file, such as a photo of fewer pixels. "
            "Whoever runs this site can raise the limit: UPLOAD_LIMIT_MB."
        ) % {"limit": settings.UPLOAD_LIMIT_MB}
    return HttpResponse(f"{text}\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content_type="text/plain")
