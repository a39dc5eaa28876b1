from typing import Any

from django.contrib import messages
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory


def request_of(response: Any = None) -> Any:
    """One that shows the cookies of the response."""
    request: Any = RequestFactory().get("/")
    request.session = SessionStore()
    request.COOKIES = {name: one.value for name, one in response.cookies.items()} if response else {}
    return request


def test_message_is_kept_for_the_next_request():
    shown: list[str] = []

    def save(request: Any) -> HttpResponse:
        messages.success(request, "Saved")
        return HttpResponse()

    def show(request: Any) -> HttpResponse:
        shown.extend(map(str, messages.get_messages(request)))
        return HttpResponse()

    answer = MessageMiddleware(save)(request_of())
    MessageMiddleware(show)(request_of(answer))

    assert shown == ["Saved"]


def test_request_without_messages_makes_no_storages():
    request = request_of()
    MessageMiddleware(lambda _request: HttpResponse())(request)

    assert "storages" not in vars(request._messages)
