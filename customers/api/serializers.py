"""The fields of each resource; validation is that of the models."""

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from core_apps.api.serializers import ModelSerializer, PublicRelatedField
from customers.api.examples import with_example
from customers.api.fields import ColleagueField, LocalTimeField, TagNamesField
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.models.rules import validate_past
from customers.querysets import ARCHIVE_CUSTOMER

ARCHIVED = "Hidden from the lists, with visits and follow-ups. To change it is a permission of its own."
TIMESTAMPS = ("created_at", "updated_at")
# New rows belong to their creator by default, as in the admin, so that stand staff can see what they created.
CREATOR = serializers.CreateOnlyDefault(serializers.CurrentUserDefault())


class ResourceSerializer(ModelSerializer):
    id = serializers.UUIDField(source="public_id", read_only=True)


@with_example("exhibitions")
class ExhibitionSerializer(ResourceSerializer):
    class Meta:
        model = Exhibition
        fields = (
            *("id", "name", "edition", "venue", "city", "country", "time_zone", "starts_on", "ends_on"),
            *("website", "industry", *TIMESTAMPS),
        )


@with_example("companies")
class CompanySerializer(ResourceSerializer):
    class Meta:
        model = Company
        fields = ("id", "name", "domain", "country", "industry", "website", *TIMESTAMPS)


@with_example("tags")
class TagSerializer(ResourceSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name", *TIMESTAMPS)


@with_example("customers")
class CustomerSerializer(ResourceSerializer):
    full_name = serializers.CharField(read_only=True)
    company = PublicRelatedField(queryset=Company.objects.all(), allow_null=True, required=False)
    company_name = serializers.CharField(source="company.name", read_only=True, allow_null=True, default=None)
    owner = ColleagueField(allow_null=True, default=CREATOR, help_text="Defaults to the creator of the customer.")
    tags = TagNamesField()
    has_photo = serializers.SerializerMethodField(help_text="The photo is at photo/ below the customer's URL.")
    archived = serializers.BooleanField(required=False, help_text=ARCHIVED)

    class Meta:
        model = Customer
        fields = (
            *("id", "full_name", "given_name", "family_name", "email", "phone", "phone_e164", "job_title"),
            *("company", "company_name", "country", "stage", "source", "owner", "tags", "notes"),
            *("has_photo", "archived", *TIMESTAMPS),
        )
        read_only_fields: ClassVar = ("phone_e164",)

    def validate_archived(self, value: bool) -> bool:
        """Raises PermissionDenied for a change that the user's role does not allow."""
        if value != bool(self.instance and self.instance.archived) and not self.context["request"].user.has_perm(
            ARCHIVE_CUSTOMER
        ):
            raise PermissionDenied(_("Your role does not allow to archive customers. Ask an administrator."))
        return value

    def get_has_photo(self, customer: Customer) -> bool:
        return bool(customer.photo)


@with_example("visits")
class VisitSerializer(ResourceSerializer):
    customer = PublicRelatedField(queryset=Customer.objects.all())
    customer_name = serializers.CharField(source="customer", read_only=True)
    exhibition = PublicRelatedField(queryset=Exhibition.objects.all())
    exhibition_name = serializers.CharField(source="exhibition", read_only=True)
    visited_at = LocalTimeField(
        required=False, validators=[validate_past], help_text="In responses with the offset of `time_zone`."
    )
    time_zone = serializers.CharField(source="exhibition.zone", read_only=True, help_text="The exhibition's.")
    captured_by = ColleagueField(read_only=True)

    class Meta:
        model = Visit
        fields = (
            *("id", "customer", "customer_name", "exhibition", "exhibition_name", "visited_at", "time_zone"),
            *("stand", "grade", "interests", "note", "captured_by", *TIMESTAMPS),
        )

    def create(self, validated_data: Any) -> Any:
        return super().create(validated_data | {"captured_by": self.context["request"].user})


@with_example("follow-ups")
class FollowUpSerializer(ResourceSerializer):
    customer = PublicRelatedField(queryset=Customer.objects.all())
    customer_name = serializers.CharField(source="customer", read_only=True)
    visit = PublicRelatedField(queryset=Visit.objects.all(), allow_null=True, required=False)
    assignee = ColleagueField(allow_null=True, default=CREATOR, help_text="Defaults to the creator of the follow-up.")

    class Meta:
        model = FollowUp
        fields = (
            *("id", "customer", "customer_name", "visit", "assignee", "channel", "due_at", "priority"),
            *("note", "outcome", "completed_at", *TIMESTAMPS),
        )
