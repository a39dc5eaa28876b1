"""Exceptions for statuses that DRF has none for."""

from http import HTTPStatus

from rest_framework.exceptions import APIException


class ApiError(APIException):
    """`wait` is the `Retry-After` in seconds."""

    def __init__(self, detail: str, wait: int | None = None, code: str | None = None) -> None:
        super().__init__(detail, code)
        self.wait = wait


class ConflictError(ApiError):
    """The request is valid but conflicts with the current data."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class GoneError(ApiError):
    status_code = HTTPStatus.GONE
    default_code = "gone"


class OutdatedError(ApiError):
    """The precondition of the request failed (RFC 9110 §15.5.13)."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_code = "outdated"


class TooLargeError(ApiError):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class UnprocessableError(ApiError):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "unprocessable"


class UnavailableError(ApiError):
    """The request is valid and can be repeated."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "unavailable"
