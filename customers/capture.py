"""The capture form for a phone at the stand, and its search; it posts to the API (customers/api/capture.py)."""

from http import HTTPStatus

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from customers.models import Customer, Exhibition, Visit

MAX_HITS = 8  # what fits on a phone


@permission_required("customers.add_visit", raise_exception=True)
def capture_form(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    exhibitions = Exhibition.objects.visible_to(request.user)
    context = {
        "title": _("Capture a visit"),
        "exhibitions": exhibitions.started_before(now)[:10],
        "open": exhibitions.open_at(now).first(),
        "grades": Visit.Grade.choices,
        "has_permission": True,
    }
    return render(request, "customers/capture.html", context)


@require_GET
@never_cache
def search_customers(request: HttpRequest) -> JsonResponse:
    """Return the first hits of `?q=` as JSON; a logged-out user gets 401 instead of a redirect to the login page."""
    if not (request.user.is_active and request.user.is_staff):
        return JsonResponse({}, status=HTTPStatus.UNAUTHORIZED)
    if not request.user.has_perm("customers.view_customer"):
        return JsonResponse({}, status=HTTPStatus.FORBIDDEN)
    customers = Customer.objects.visible_to(request.user).current().matching(request.GET.get("q", "")[:200])
    hits = customers.select_related("company")[:MAX_HITS]
    return JsonResponse({"customers": [build_hit(customer) for customer in hits]})


def build_hit(customer: Customer) -> dict[str, str]:
    more = (customer.job_title, customer.company.name if customer.company else "")
    return {"id": str(customer.public_id), "name": str(customer), "more": ", ".join(filter(None, more))}
