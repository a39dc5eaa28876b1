from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers


class LanguageMiddleware:
    """The person's language, by cookie or browser. Django's own also looks for one at the beginning of each address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = translation.get_language_from_request(request)
        translation.activate(language)
        request.LANGUAGE_CODE = language
        response = self.get_response(request)
        if response.has_header("Vary"):
            patch_vary_headers(response, ("Accept-Language",))
        else:  # what that would come to, at a third of its cost
            response["Vary"] = "Accept-Language"
        response.setdefault("Content-Language", language)
        return response
