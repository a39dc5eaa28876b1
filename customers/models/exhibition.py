from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from core_apps.common.fields import CountryField, WebAddressField
from core_apps.common.models import TimeStampedModel
from customers.models.rules import COUNTRY, WEB_ADDRESS, blank_or_matches, validate_time_zone
from customers.querysets import ExhibitionQuerySet


class Exhibition(TimeStampedModel):
    """One edition of a trade fair; its dates are days in its own time zone."""

    name = models.CharField(max_length=200)
    edition = models.CharField(max_length=50, blank=True, help_text="What tells it from the other years: 2027.")
    venue = models.CharField(max_length=200, blank=True)
    city = models.CharField(max_length=100, blank=True)
    country = CountryField()
    time_zone = models.CharField(
        max_length=50, default="UTC", validators=[validate_time_zone], help_text="IANA name: Europe/Berlin."
    )
    starts_on = models.DateField("first day")
    ends_on = models.DateField("last day")
    website = WebAddressField(blank=True)
    industry = models.CharField(max_length=100, blank=True)

    objects: ClassVar[ExhibitionQuerySet] = ExhibitionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-starts_on", "-pk")
        constraints = (
            models.CheckConstraint(name="exhibition_name_not_blank", condition=~Q(name="")),
            models.CheckConstraint(
                name="exhibition_ends_after_it_starts",
                condition=Q(ends_on__gte=F("starts_on")),
                violation_error_message="The last day is before the first day.",
            ),
            models.CheckConstraint(name="exhibition_country_is_a_code", condition=blank_or_matches("country", COUNTRY)),
            models.CheckConstraint(name="exhibition_time_zone_not_blank", condition=~Q(time_zone="")),
            models.CheckConstraint(
                name="exhibition_website_is_a_web_address", condition=blank_or_matches("website", WEB_ADDRESS)
            ),
            models.UniqueConstraint(
                Upper("name"),
                Upper("edition"),
                name="exhibition_unique_edition",
                violation_error_message="This edition of the exhibition exists already.",
            ),
        )
        indexes = (
            models.Index(fields=("-starts_on", "-id"), name="exhibition_newest_first"),
            models.Index(fields=("country", "starts_on"), name="exhibition_by_country"),
            models.Index(fields=("industry", "starts_on"), name="exhibition_by_industry"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.edition}".strip()
