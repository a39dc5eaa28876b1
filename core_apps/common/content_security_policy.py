"""The Content-Security-Policy header; the policy itself is CONTENT_SECURITY_POLICY in the settings."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus

from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
# Django's technical pages, whose scripts are inline; that of a refused Host, or any suspicious operation, is a 400.
TECHNICAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}


class ContentSecurityPolicyMiddleware:
    """django-csp's policy, put together once: it has no nonces, which its own middleware makes for every request.

    A view's own policy stays.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (response.status_code in TECHNICAL and settings.DEBUG):
            response.setdefault(HEADER, policy())
        return response


@cache
def policy() -> str:
    return str(build_policy())
