"""The OpenAPI schema and Swagger UI. Both are public: they contain no data."""

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views.decorators.http import condition, require_safe
from drf_spectacular.generators import SchemaGenerator

from core_apps.api.conditions import add_etag


@cache
def schema_bytes() -> bytes:
    """The schema with its ETag. Built once: it takes a second, and only new code changes it."""
    with override(settings.LANGUAGE_CODE):
        generator: Any = SchemaGenerator
        schema = generator().get_schema(request=None, public=True)
    return add_etag(json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode())


def schema_etag(_request: HttpRequest) -> str:
    return schema_bytes().partition(b"\n")[0].decode()


@require_safe
@condition(etag_func=schema_etag)
def schema(_request: HttpRequest) -> HttpResponse:
    """The API in OpenAPI 3.1, as JSON."""
    return HttpResponse(schema_bytes().partition(b"\n")[2], content_type="application/json")


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Swagger UI. Requests use the session of a logged-in user, or a token that is entered."""
    return render(request, "api/documentation.html", {"site_title": settings.PROJECT_NAME})
