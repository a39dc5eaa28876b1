"""Conditional requests (RFC 9110 §13): what has not changed is not sent, what has changed is not overwritten."""

from hashlib import blake2b
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from rest_framework.request import Request

from core_apps.api.refusals import Outdated
from core_apps.common.models import version_of

ANY = "*"


def tagged(body: bytes, row: Any = None) -> bytes:
    """The body behind its ETag and a line's end, so that a cache keeps both as one value."""
    digest = blake2b(body, digest_size=8).hexdigest()
    tag = f"{version_of(row)}-{digest}" if row else digest
    return f'"{tag}"\n'.encode() + body


def answer(request: Request, content: bytes, status: int = 200) -> HttpResponse:
    """What `tagged` has made: 304 without a body where the client has it already."""
    tag, _separator, body = content.partition(b"\n")
    etag = tag.decode()
    response: HttpResponse
    if status == 200 and is_known(request, etag):
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(body, status=status, content_type="application/json")
    response["ETag"] = etag
    # A browser may keep it and asks each time; nothing between may.
    response["Cache-Control"] = "private, no-cache"
    return response


def is_known(request: Request, etag: str) -> bool:
    """By weak comparison (§13.1.2): nginx makes an ETag weak when it compresses the body."""
    given = request.META.get("HTTP_IF_NONE_MATCH")  # reads ask for no other header, of which `headers` makes a mapping
    if given is None or request.method not in ("GET", "HEAD"):
        return False
    tags = [tag.removeprefix("W/") for tag in parse_etags(given)]
    return ANY in tags or etag in tags


def refuse_outdated(request: Request, row: Any) -> None:
    """Raises Outdated where `If-Match` names another version of the row than this one.

    Only the part that is the version counts: what was read with `?fields=` or compressed on the way has another hash or
    a W/, and is the same row.
    """
    given = request.headers.get("If-Match")
    if given is None:
        return
    versions = {tag.removeprefix("W/").strip('"').partition("-")[0] for tag in parse_etags(given)}
    if not {ANY, version_of(row)} & versions:
        raise Outdated(
            _("Somebody has changed this since you read it: read it again, and send your change with its ETag.")
        )
