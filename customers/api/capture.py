"""Visits that a device has collected, many at a time; each of them counts once, however often it is sent."""

from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

from core_apps.api.access import CAPTURE
from core_apps.api.problems import errors_of
from core_apps.api.serializers import PublicRelatedField
from core_apps.api.views import StrictView
from customers.api.examples import shown
from customers.models import Capture, Customer, Exhibition, Visit
from customers.services.capture import Entry, capture_visit, has_arrived

MOST_ENTRIES = 100  # in one request
PERSON = ("given_name", "family_name", "email", "phone")


class NewCustomerSerializer(serializers.Serializer[Any]):
    given_name = serializers.CharField(max_length=100, required=False)
    family_name = serializers.CharField(max_length=100, required=False)
    email = serializers.EmailField(max_length=254, required=False)
    phone = serializers.CharField(max_length=50, required=False)
    company = serializers.CharField(max_length=200, required=False, help_text="By name; made where there is none.")


class ClientUuidField(serializers.UUIDField):
    """A text: the framework would take a number for one too."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class EntrySerializer(serializers.Serializer[Any]):
    """One visit: of a customer that is there, or of a new one."""

    client_uuid = ClientUuidField(help_text="Made by the device; the same for each sending of the same entry.")
    exhibition = PublicRelatedField(queryset=Exhibition.objects.all())
    visited_at = serializers.DateTimeField()
    customer = PublicRelatedField(queryset=Customer.objects.all(), required=False)
    new_customer = NewCustomerSerializer(required=False)
    grade = serializers.ChoiceField(Visit.Grade.choices, required=False, allow_blank=True)
    interests = serializers.ListField(child=serializers.CharField(max_length=60), max_length=50, required=False)
    note = serializers.CharField(max_length=10_000, required=False, allow_blank=True)

    def validate(self, attrs: Any) -> Any:
        if ("customer" in attrs) == ("new_customer" in attrs):
            raise serializers.ValidationError({"customer": _("Give either customer or new_customer.")})
        return attrs

    def entry(self) -> Entry:
        values = self.validated_data
        person = values.get("new_customer", {})
        return Entry(
            client_uuid=values["client_uuid"],
            exhibition=values["exhibition"],
            customer=values.get("customer") or Customer(**{name: person.get(name, "") for name in PERSON}),
            visited_at=values["visited_at"],
            company=person.get("company", ""),
            grade=values.get("grade", ""),
            interests=tuple(values.get("interests", ())),
            note=values.get("note", ""),
        )


class SentSerializer(serializers.Serializer[Any]):
    entries = serializers.ListField(child=serializers.DictField(), min_length=1, max_length=MOST_ENTRIES)


@shown("visits/capture")
class EntriesSerializer(serializers.Serializer[Any]):
    """What is to be sent; SentSerializer leaves each entry to be refused by itself."""

    entries = serializers.ListField(child=EntrySerializer(), min_length=1, max_length=MOST_ENTRIES)


class ErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class OutcomeSerializer(serializers.Serializer[Any]):
    client_uuid = serializers.CharField(allow_null=True, help_text="As it was sent.")
    status = serializers.ChoiceField(["recorded", "known", "refused"], help_text="known: it had arrived before.")
    visit = serializers.UUIDField(allow_null=True, help_text="None where it was refused, or deleted since.")
    errors: Any = ErrorSerializer(many=True)


class OutcomesSerializer(serializers.Serializer[Any]):
    results = OutcomeSerializer(many=True, help_text="In the order of the entries.")


class CaptureView(StrictView):
    """Visits that a device has collected: up to 100 in a request, each recorded or refused by itself.

    Send those again of which no answer came: an entry is recorded once, however often it arrives.
    """

    model = Visit
    scope_names: ClassVar = {"POST": CAPTURE}

    @extend_schema(request=EntriesSerializer, responses=OutcomesSerializer)
    def post(self, request: Request) -> Response:
        sent = SentSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        outcomes = [self.outcome(data) for data in sent.validated_data["entries"]]
        return Response({"results": with_visits(outcomes)})

    def outcome(self, data: dict[str, Any]) -> dict[str, Any]:
        client_uuid = data.get("client_uuid")
        answer: dict[str, Any] = {
            "client_uuid": client_uuid if isinstance(client_uuid, str) else None,
            "visit": None,
            "errors": [],
        }
        try:
            is_new = self.record(data)
        except (serializers.ValidationError, ValidationError, PermissionDenied) as error:
            return answer | {"status": "refused", "errors": list(errors_of(details(error)))}
        return answer | {"status": "recorded" if is_new else "known"}

    def record(self, data: dict[str, Any]) -> bool:
        """Raises ValidationError, of Django or the framework; not for what had arrived before it became invalid."""
        checked = EntrySerializer(data=data, context=self.get_serializer_context())
        if checked.is_valid():
            return capture_visit(checked.entry(), by=self.request.user)  # type: ignore[arg-type]
        if "client_uuid" not in checked.errors and has_arrived(UUID(data["client_uuid"]), by=self.request.user):  # type: ignore[arg-type]
            return False
        raise serializers.ValidationError(checked.errors)


def details(error: Exception) -> Any:
    if isinstance(error, PermissionDenied):
        return [ErrorDetail(str(error), "permission_denied")]
    return error.detail if isinstance(error, serializers.ValidationError) else as_serializer_error(error)


def with_visits(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each visit by its public id, in one query for all."""
    arrived = [outcome["client_uuid"] for outcome in outcomes if outcome["status"] != "refused"]
    visits = dict(Capture.objects.filter(client_uuid__in=arrived).values_list("client_uuid", "visit__public_id"))
    return [
        outcome | {"visit": visits.get(UUID(outcome["client_uuid"]))} if outcome["status"] != "refused" else outcome
        for outcome in outcomes
    ]
