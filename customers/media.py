"""Uploaded files, for users who may see the row they belong to."""

import re

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from core_apps.media.responses import build_file_response
from customers.models import Customer

THUMBNAIL = re.compile(r"(photos/[0-9a-f]{32})_small(\.jpg)")


@login_required
@permission_required("customers.view_customer", raise_exception=True)
def media(request: HttpRequest, name: str) -> HttpResponseBase:
    """Return the photo or thumbnail. A row must have that name, so no path can leave MEDIA_ROOT."""
    photo = THUMBNAIL.sub(r"\1\2", name) if THUMBNAIL.fullmatch(name) else name
    get_object_or_404(Customer.objects.visible_to(request.user), photo=photo)
    return build_file_response(request, name)
