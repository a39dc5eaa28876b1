"""Customers to choose for a captured visit."""

from typing import Any

from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core_apps.accounts.models import User
from core_apps.api import parameters
from core_apps.api.pagination import SEARCH
from core_apps.api.views import StrictView
from customers.models import Customer
from customers.querysets import VIEW_EVERY_CUSTOMER

MAX_SUGGESTIONS = 8  # what fits on a phone


class SuggestionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    job_title = serializers.CharField(help_text="Blank for a customer of other stands.")
    company = serializers.CharField()


class SuggestionsSerializer(serializers.Serializer[Any]):
    customers = SuggestionSerializer(many=True)


@method_decorator(never_cache, name="dispatch")
class SuggestionsView(StrictView):
    """The first customers that match the text, to capture a visit of one of them.

    Stand staff also find a customer of other stands, by the complete e-mail address, phone number, or given and family
    name with the company; they get name and company only, until they have captured a visit.
    """

    model = Customer
    query_parameters = frozenset({SEARCH})

    @extend_schema(
        parameters=[OpenApiParameter(SEARCH, parameters.TEXT, required=True)], responses=SuggestionsSerializer
    )
    def get(self, request: Request) -> Response:
        if SEARCH not in request.query_params:
            raise parameters.build_error(SEARCH, "required", _("This parameter is required."))
        text = request.query_params[SEARCH][:200]
        customers = [*find_strangers(text, request.user), *find_visible(text, request.user)]  # type: ignore[arg-type]
        return Response(SuggestionsSerializer({"customers": customers[:MAX_SUGGESTIONS]}).data)


def find_visible(text: str, user: User) -> list[dict[str, Any]]:
    found = Customer.objects.visible_to(user).current().matching(text).select_related("company")[:MAX_SUGGESTIONS]
    return [build_suggestion(customer, str(customer), customer.job_title) for customer in found]


def find_strangers(text: str, user: User) -> list[dict[str, Any]]:
    """Describe the customers that the text identifies, and that the user may not see."""
    if user.has_perm(VIEW_EVERY_CUSTOMER) or not user.has_perm("customers.add_visit"):
        return []
    found = Customer.objects.current().identified_by(text).select_related("company")[:MAX_SUGGESTIONS]
    visible = set(Customer.objects.visible_to(user).filter(pk__in=[one.pk for one in found]))
    # Not str(), which is the e-mail address of somebody without a name.
    return [build_suggestion(customer, customer.full_name or text) for customer in found if customer not in visible]


def build_suggestion(customer: Customer, name: str, job_title: str = "") -> dict[str, Any]:
    company = customer.company.name if customer.company else ""
    return {"id": customer.public_id, "name": name, "job_title": job_title, "company": company}
