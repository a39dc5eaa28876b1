"""Error responses as problem details (RFC 9457), with the errors of each field."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

from core_apps.api.database_errors import translate_database_error, translate_integrity_error
from core_apps.api.exceptions import ConflictError, TooLargeError

API = "/api/"
MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100  # in one response
WHOLE = ("non_field_errors", "__all__")  # keys of Django and DRF for errors of no field

Error = dict[str, str | None]


def problem(status: int, detail: str, errors: list[Error] | None = None) -> dict[str, Any]:
    """RFC 9457 §3.1; with the type about:blank the title is the status phrase (§4.2.1)."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    return body | ({"errors": errors} if errors else {})


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER; None for a bug, which Django handles as a 500."""
    known = to_api_exception(error)
    if known is None:
        return None
    errors = list_errors(known.detail) if isinstance(known, exceptions.ValidationError) else []
    detail = _("See “errors” for the fields to correct.") if errors else str(known.detail)
    body = problem(known.status_code, detail, errors)
    return Response(body, status=known.status_code, headers=build_headers(known), content_type=MEDIA_TYPE)


def to_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    for kind, translate in TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error)
    return None


def not_found(error: Exception) -> exceptions.APIException:
    return exceptions.NotFound(_("Not found, or not visible to you."))


def forbidden(error: Exception) -> exceptions.APIException:
    return exceptions.PermissionDenied(str(error) or None)


def invalid(error: Exception) -> exceptions.APIException:
    return exceptions.ValidationError(as_serializer_error(error))


def out_of_range(error: Exception) -> exceptions.APIException:
    """The database has narrower limits than Python, for the offset of a time zone for example."""
    return exceptions.ValidationError(_("A value is out of range."))


def still_referenced(error: Exception) -> exceptions.APIException:
    """Does not name the rows: the user may not be allowed to see them."""
    return ConflictError(_("This cannot be deleted because other rows refer to it."))


def too_big(error: Exception) -> exceptions.APIException:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**10
    return TooLargeError(_("The body is larger than %(limit)s kB. Send it in parts.") % {"limit": limit})


TRANSLATIONS: tuple[tuple[Any, Callable[[Any], exceptions.APIException | None]], ...] = (
    (Http404, not_found),
    (PermissionDenied, forbidden),
    (RequestDataTooBig, too_big),
    (DjangoValidationError, invalid),
    ((ProtectedError, RestrictedError), still_referenced),
    (DataError, out_of_range),
    (IntegrityError, translate_integrity_error),
    ((OperationalError, InterfaceError), translate_database_error),
)


def build_headers(error: exceptions.APIException) -> dict[str, str]:
    """`WWW-Authenticate` of a 401 (RFC 9110 §11.6.1), `Retry-After` if the request can be repeated (§10.2.3)."""
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers


def list_errors(detail: Any) -> list[Error]:
    """Return the first MAX_ERRORS errors: a body may have any number of unknown fields."""
    return list(islice(flatten_errors(detail), MAX_ERRORS))


def flatten_errors(detail: Any, path: tuple[str, ...] = ()) -> Iterator[Error]:
    """DRF's nested errors as a flat list: `interests.0` is the first item of a list; null is no field."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from flatten_errors(inner, path if name in WHOLE else (*path, str(name)))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            yield from flatten_errors(inner, (*path, str(number)) if isinstance(inner, dict) and inner else path)
    else:
        yield {"field": ".".join(path) or None, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


class ProblemMiddleware:
    """Converts error responses of other middleware, of Django and of unknown URLs under /api/ to problem details."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_other = response.status_code < HTTPStatus.BAD_REQUEST or not request.path.startswith(API)
        if is_other or response.get("Content-Type", "").startswith(MEDIA_TYPE) or is_traceback(response):
            return response
        return convert_to_problem(response)


def is_traceback(response: HttpResponse) -> bool:
    """Whether it is Django's debug page."""
    return settings.DEBUG and response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR


def convert_to_problem(response: HttpResponse) -> HttpResponse:
    """Keeps the status and the headers: Allow, Retry-After, cookies."""
    is_text = response.get("Content-Type", "").startswith("text/plain")
    detail = response.text.strip() if is_text else HTTPStatus(response.status_code).description
    response.content = JSONRenderer().render(problem(response.status_code, detail))
    response["Content-Type"] = MEDIA_TYPE
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    return response
