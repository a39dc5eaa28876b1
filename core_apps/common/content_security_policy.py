"""The Content-Security-Policy header; the policy itself is CONTENT_SECURITY_POLICY in the settings."""

from http import HTTPStatus

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """django-csp's, which leaves Django's technical 404 and 500 pages without a policy, as their scripts are inline.

    A refused Host, or any other suspicious operation, has such a page too, with status 400.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if settings.DEBUG and response.status_code == HTTPStatus.BAD_REQUEST:
            return response
        return super().process_response(request, response)
