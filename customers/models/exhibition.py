from datetime import date, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import CountryField, WebAddressField
from core_apps.common.models import PublicModel
from customers.models.rules import COUNTRY, WEB_ADDRESS, blank_or_matches, validate_time_zone
from customers.querysets import ExhibitionQuerySet


class Exhibition(PublicModel):
    """An edition of a trade fair; its dates are in its own time zone."""

    name = models.CharField(_("name"), max_length=200)
    edition = models.CharField(_("edition"), max_length=50, blank=True, help_text=_("For example the year: 2027."))
    venue = models.CharField(_("venue"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    country = CountryField(_("country"))
    time_zone = models.CharField(
        _("time zone"),
        max_length=50,
        default="UTC",
        validators=[validate_time_zone],
        help_text=_("IANA name: Europe/Berlin."),
    )
    starts_on = models.DateField(_("first day"))
    ends_on = models.DateField(_("last day"))
    website = WebAddressField(_("website"), blank=True)
    industry = models.CharField(_("industry"), max_length=100, blank=True)
    staff = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("stand staff"),
        blank=True,
        related_name="exhibitions",
        help_text=_("Who works at our stand. Stand staff see the customers and visits of their exhibitions only."),
    )

    objects: ClassVar[ExhibitionQuerySet] = ExhibitionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("exhibition")
        verbose_name_plural = _("exhibitions")
        ordering = ("-starts_on", "-pk")
        constraints = (
            models.CheckConstraint(name="exhibition_name_not_blank", condition=~Q(name="")),
            models.CheckConstraint(
                name="exhibition_ends_after_it_starts",
                condition=Q(ends_on__gte=F("starts_on")),
                violation_error_message=_("The last day is before the first day."),
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
                violation_error_message=_("This edition of the exhibition already exists."),
            ),
        )
        indexes = (
            models.Index(fields=("-starts_on", "-id"), name="exhibition_newest_first"),
            models.Index(fields=("country", "starts_on"), name="exhibition_by_country"),
            models.Index(fields=("industry", "starts_on"), name="exhibition_by_industry"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.edition}".strip()

    def local_date(self, moment: datetime) -> date:
        """Return the moment's date in the exhibition's time zone."""
        return moment.astimezone(ZoneInfo(self.time_zone)).date()
