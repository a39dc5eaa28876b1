"""Answers that the framework has no exception for."""

from http import HTTPStatus

from rest_framework.exceptions import APIException


class Refusal(APIException):
    """`wait`: seconds after which the same request may do better."""

    def __init__(self, detail: str, wait: int | None = None, code: str | None = None) -> None:
        super().__init__(detail, code)
        self.wait = wait


class Conflict(Refusal):
    """The request is right, and what is there speaks against it."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class Gone(Refusal):
    status_code = HTTPStatus.GONE
    default_code = "gone"


class Outdated(Refusal):
    """The condition of the request does not hold (RFC 9110 §15.5.13)."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_code = "outdated"


class TooLarge(Refusal):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class Unprocessable(Refusal):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "unprocessable"


class Unavailable(Refusal):
    """The fault is not the request's."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "unavailable"
