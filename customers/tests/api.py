"""A program that calls the API."""

from typing import Any

from django.test import Client

JSON = "application/json"


class Caller(Client):
    """Over HTTPS, sending JSON; logged in as a browser would be, or with a token in `headers`."""

    def generic(  # type: ignore[override]
        self, method: str, path: str, data: Any = "", content_type: str = JSON, secure: bool = True, **options: Any
    ) -> Any:
        return super().generic(method, path, data, content_type, True, **options)

    def post(self, path: str, data: Any = None, content_type: str = JSON, **options: Any) -> Any:  # type: ignore[override]
        return super().post(path, data, content_type, **options)

    def patch(self, path: str, data: Any = "", content_type: str = JSON, **options: Any) -> Any:  # type: ignore[override]
        return super().patch(path, data, content_type, **options)


def caller_of(user: Any) -> Caller:
    caller = Caller()
    caller.force_login(user)
    return caller


def errors(response: Any) -> list[tuple[str | None, str]]:
    """Which fields were refused, and why."""
    return [(error["field"], error["code"]) for error in response.json().get("errors", [])]
