"""What of a row is shown and what can be written; the rules are those of the models."""

from typing import Any, ClassVar

from rest_framework import serializers

from core_apps.api.serializers import ModelSerializer, PublicRelatedField
from customers.api.examples import shown
from customers.api.fields import ColleagueField, TagNamesField
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit

RECORD = ("created_at", "updated_at")
# Whose a new row is that nobody was named for, as in the admin's forms: stand staff keep what they make in sight.
CREATOR = serializers.CreateOnlyDefault(serializers.CurrentUserDefault())


class ResourceSerializer(ModelSerializer):
    id = serializers.UUIDField(source="public_id", read_only=True)


@shown("exhibitions")
class ExhibitionSerializer(ResourceSerializer):
    class Meta:
        model = Exhibition
        fields = (
            *("id", "name", "edition", "venue", "city", "country", "time_zone", "starts_on", "ends_on"),
            *("website", "industry", *RECORD),
        )


@shown("companies")
class CompanySerializer(ResourceSerializer):
    class Meta:
        model = Company
        fields = ("id", "name", "domain", "country", "industry", "website", *RECORD)


@shown("tags")
class TagSerializer(ResourceSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name", *RECORD)


@shown("customers")
class CustomerSerializer(ResourceSerializer):
    full_name = serializers.CharField(read_only=True)
    company = PublicRelatedField(queryset=Company.objects.all(), allow_null=True, required=False)
    company_name = serializers.CharField(source="company.name", read_only=True, allow_null=True, default=None)
    owner = ColleagueField(allow_null=True, default=CREATOR, help_text="Who creates the customer, where left out.")
    tags = TagNamesField()
    has_photo = serializers.SerializerMethodField(help_text="The photo is at photo/ below the customer's address.")
    archived = serializers.BooleanField(
        required=False, help_text="Out of the daily lists, with all that belongs to it."
    )

    class Meta:
        model = Customer
        fields = (
            *("id", "full_name", "given_name", "family_name", "email", "phone", "phone_e164", "job_title"),
            *("company", "company_name", "country", "stage", "source", "owner", "tags", "notes"),
            *("has_photo", "archived", *RECORD),
        )
        read_only_fields: ClassVar = ("phone_e164",)

    def get_has_photo(self, customer: Customer) -> bool:
        return bool(customer.photo)


@shown("visits")
class VisitSerializer(ResourceSerializer):
    customer = PublicRelatedField(queryset=Customer.objects.all())
    customer_name = serializers.CharField(source="customer", read_only=True)
    exhibition = PublicRelatedField(queryset=Exhibition.objects.all())
    exhibition_name = serializers.CharField(source="exhibition", read_only=True)
    captured_by = ColleagueField(read_only=True)

    class Meta:
        model = Visit
        fields = (
            *("id", "customer", "customer_name", "exhibition", "exhibition_name", "visited_at", "stand"),
            *("grade", "interests", "note", "captured_by", *RECORD),
        )

    def create(self, validated_data: Any) -> Any:
        return super().create(validated_data | {"captured_by": self.context["request"].user})


@shown("follow-ups")
class FollowUpSerializer(ResourceSerializer):
    customer = PublicRelatedField(queryset=Customer.objects.all())
    customer_name = serializers.CharField(source="customer", read_only=True)
    visit = PublicRelatedField(queryset=Visit.objects.all(), allow_null=True, required=False)
    assignee = ColleagueField(allow_null=True, default=CREATOR, help_text="Who creates the follow-up, where left out.")

    class Meta:
        model = FollowUp
        fields = (
            *("id", "customer", "customer_name", "visit", "assignee", "channel", "due_at", "priority"),
            *("note", "outcome", "completed_at", *RECORD),
        )
