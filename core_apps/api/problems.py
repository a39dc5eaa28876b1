"""One form for every refusal: RFC 9457, with each refused field and its reason."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
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

from core_apps.api.failures import problem_of_database, problem_of_integrity
from core_apps.api.refusals import Conflict, TooLarge

API = "/api/"
MEDIA_TYPE = "application/problem+json"
WHOLE = ("non_field_errors", "__all__")  # what Django and the framework call the errors of no field

Error = dict[str, str | None]


def problem(status: int, detail: str, errors: list[Error] | None = None) -> dict[str, Any]:
    """RFC 9457 §3.1; the type is about:blank, so the title is the status' own (§4.2.1)."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    return body | ({"errors": errors} if errors else {})


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The framework's EXCEPTION_HANDLER; None for what is a fault of ours, which Django reports and answers."""
    known = as_known(error)
    if known is None:
        return None
    errors = list(errors_of(known.detail)) if isinstance(known, exceptions.ValidationError) else []
    detail = _("See errors for what to correct.") if errors else str(known.detail)
    body = problem(known.status_code, detail, errors)
    return Response(body, status=known.status_code, headers=headers_of(known), content_type=MEDIA_TYPE)


def as_known(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    for kind, translate in TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error)
    return None


def not_found(error: Exception) -> exceptions.APIException:
    return exceptions.NotFound(_("There is nothing here, or nothing that you may see."))


def forbidden(error: Exception) -> exceptions.APIException:
    return exceptions.PermissionDenied(str(error) or None)


def invalid(error: Exception) -> exceptions.APIException:
    return exceptions.ValidationError(as_serializer_error(error))


def out_of_range(error: Exception) -> exceptions.APIException:
    """The database has narrower limits than Python, for the offset of a time say."""
    return exceptions.ValidationError(_("A value is out of range."))


def needed(error: Exception) -> exceptions.APIException:
    """The names of the rows are not told: the person may not be one who sees them."""
    return Conflict(_("This cannot be deleted: other rows need it."))


def too_big(error: Exception) -> exceptions.APIException:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**10
    return TooLarge(_("The body is larger than %(limit)s kB: send it in parts.") % {"limit": limit})


TRANSLATIONS: tuple[tuple[Any, Callable[[Any], exceptions.APIException | None]], ...] = (
    (Http404, not_found),
    (PermissionDenied, forbidden),
    (RequestDataTooBig, too_big),
    (DjangoValidationError, invalid),
    ((ProtectedError, RestrictedError), needed),
    (DataError, out_of_range),
    (IntegrityError, problem_of_integrity),
    ((OperationalError, InterfaceError), problem_of_database),
)


def headers_of(error: exceptions.APIException) -> dict[str, str]:
    """`WWW-Authenticate` of a 401 (RFC 9110 §11.6.1), `Retry-After` of what can be sent again (§10.2.3)."""
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers


def errors_of(detail: Any, path: tuple[str, ...] = ()) -> Iterator[Error]:
    """The framework's nested errors, flat: `interests.0` is the first of a list; null is the whole."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from errors_of(inner, path if name in WHOLE else (*path, str(name)))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            yield from errors_of(inner, (*path, str(number)) if isinstance(inner, dict) and inner else path)
    else:
        yield {"field": ".".join(path) or None, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


class ProblemMiddleware:
    """Gives what other middleware, Django itself or an unknown address answers under /api/ the form of a problem."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_ours = response.status_code < HTTPStatus.BAD_REQUEST or not request.path.startswith(API)
        if is_ours or response.get("Content-Type", "").startswith(MEDIA_TYPE) or is_traceback(response):
            return response
        return reworded(response)


def is_traceback(response: HttpResponse) -> bool:
    """Django's page for whoever develops; it is never shown with DEBUG off."""
    return settings.DEBUG and response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR


def reworded(response: HttpResponse) -> HttpResponse:
    """The status and the headers stay: Allow, Retry-After, cookies."""
    is_text = response.get("Content-Type", "").startswith("text/plain")
    detail = response.text.strip() if is_text else HTTPStatus(response.status_code).description
    response.content = JSONRenderer().render(problem(response.status_code, detail))
    response["Content-Type"] = MEDIA_TYPE
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    return response
