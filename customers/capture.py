"""The capture form for a phone at the stand; it searches and posts in the API (suggestions.py, capture.py)."""

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from core_apps.messaging.models import Wording
from customers.models import Exhibition, Visit


@permission_required("customers.add_visit", raise_exception=True)
def capture_form(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    exhibitions = Exhibition.objects.visible_to(request.user)
    recent = exhibitions.started_before(now)[:10]
    may_record_consent = request.user.has_perm("messaging.add_consent")
    context = admin.site.each_context(request) | {
        "title": _("Capture a visit"),
        "exhibitions": recent,
        "open": next((one for one in recent if one.is_open_at(now)), None),
        "grades": Visit.Grade.choices,
        "wordings": Wording.objects.choose(get_language() or "") if may_record_consent else [],
    }
    return render(request, "customers/capture.html", context)
