from typing import Any

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core_apps.messaging.models import Suppression
from core_apps.messaging.suppression import read_token, suppress


@csrf_exempt  # mail programs post without cookies (RFC 8058); the token is what allows it
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A GET never writes: scanners of mails and browsers fetch links before anybody has clicked."""
    context: dict[str, Any] = {"title": _("Unsubscribe")}
    try:
        digest, purpose = read_token(token)
    except BadSignature:
        return render(request, "messaging/unsubscribe.html", context, status=404)
    found = Suppression.objects.filter(digest=digest, purpose=purpose)
    if request.method == "POST" and "undo" in request.POST:
        found.delete()
    elif request.method == "POST":
        suppress(digest, purpose)
    context |= {"purpose": purpose.label, "is_suppressed": found.exists()}
    return render(request, "messaging/unsubscribe.html", context)
