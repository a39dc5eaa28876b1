"""Redirects to the URL with a slash at the end."""

from functools import partial

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware import common
from django.utils.http import escape_leading_slashes


class CommonMiddleware(common.CommonMiddleware):
    """Redirects with 308, not 301: clients would repeat a POST as a GET."""

    response_redirect_class = staticmethod(partial(HttpResponsePermanentRedirect, preserve_request=True))  # type: ignore[assignment]

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        """Django raises an error for a POST if DEBUG is on, because of its 301."""
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))
