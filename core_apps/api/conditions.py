"""Conditional requests (RFC 9110 §13): unchanged rows are not sent again, changed ones not overwritten."""

from hashlib import blake2b
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core_apps.api.exceptions import OutdatedError
from core_apps.common.models import get_row_version

ANY = "*"


def add_etag(body: bytes, row: Any = None) -> bytes:
    """The ETag, a newline and the body: one value for the cache."""
    digest = blake2b(body, digest_size=8).hexdigest()
    tag = f"{get_row_version(row)}-{digest}" if row else digest
    return f'"{tag}"\n'.encode() + body


def build_response(request: Request, content: bytes, status: int = 200) -> HttpResponse:
    """The response for content from `add_etag`: 304 without a body if the client has this version."""
    tag, _separator, body = content.partition(b"\n")
    etag = tag.decode()
    response: HttpResponse
    if status == 200 and matches_etag(request, etag):
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(body, status=status, content_type="application/json")
    response["ETag"] = etag
    # A browser may store it but must revalidate; shared caches must not store it.
    response["Cache-Control"] = "private, no-cache"
    return response


def matches_etag(request: Request, etag: str) -> bool:
    """By weak comparison (§13.1.2): nginx makes an ETag weak when it compresses the body."""
    header = request.META.get("HTTP_IF_NONE_MATCH")  # building `request.headers` costs more
    if header is None or request.method not in ("GET", "HEAD"):
        return False
    tags = [tag.removeprefix("W/") for tag in parse_etags(header)]
    return ANY in tags or etag in tags


def check_if_match(request: Request, row: Any) -> None:
    """Raises OutdatedError if `If-Match` names another version of the row.

    Only the version in the ETag counts: with `?fields=` or compression the same row has another hash or a W/.
    """
    header = request.headers.get("If-Match")
    if header is None:
        return
    versions = {tag.removeprefix("W/").strip('"').partition("-")[0] for tag in parse_etags(header)}
    if not {ANY, get_row_version(row)} & versions:
        raise OutdatedError(
            _("This has changed since you read it. Read it again and send your change with the new ETag.")
        )
