"""The schema, and a page to read it and try it: for everybody, as it tells of no data."""

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views.decorators.http import condition, require_safe
from drf_spectacular.generators import SchemaGenerator

from core_apps.api.conditions import tagged


@cache
def schema_bytes() -> bytes:
    """Behind its ETag. Made once: it takes a second, and changes with the code alone."""
    with override(settings.LANGUAGE_CODE):
        generator: Any = SchemaGenerator
        schema = generator().get_schema(request=None, public=True)
    return tagged(json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode())


def schema_etag(_request: HttpRequest) -> str:
    return schema_bytes().partition(b"\n")[0].decode()


@require_safe
@condition(etag_func=schema_etag)
def schema(_request: HttpRequest) -> HttpResponse:
    """The API in OpenAPI 3.1, as JSON."""
    return HttpResponse(schema_bytes().partition(b"\n")[2], content_type="application/json")


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Swagger UI. Who is logged in tries the API as the person that they are; others give a token."""
    return render(request, "api/documentation.html", {"site_title": settings.PROJECT_NAME})
