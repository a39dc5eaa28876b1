from datetime import date, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import CountryField, WebAddressField
from core_apps.common.models import PublicModel
from core_apps.common.time_zones import TimeZoneField, get_zone
from core_apps.messaging.merge import validate_fields
from customers.models.customer import Customer
from customers.models.rules import (
    COUNTRY,
    EARLIEST,
    LATEST,
    WEB_ADDRESS,
    blank_or_matches,
    validate_date,
)
from customers.querysets import ExhibitionQuerySet

MERGE_FIELDS = (*Customer.MERGE_FIELDS, "exhibition")


def validate_merge_fields(text: str) -> None:
    validate_fields(text, MERGE_FIELDS)


class Exhibition(PublicModel):
    """An edition of a trade fair; its dates are in its own time zone."""

    name = models.CharField(_("name"), max_length=200)
    edition = models.CharField(_("edition"), max_length=50, blank=True, help_text=_("For example the year: 2027."))
    venue = models.CharField(_("venue"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    country = CountryField(_("country"))
    time_zone = TimeZoneField(_("time zone"), default="UTC", help_text=_("IANA name: Europe/Berlin."))
    starts_on = models.DateField(_("first day"), validators=[validate_date])
    ends_on = models.DateField(_("last day"), validators=[validate_date])
    website = WebAddressField(_("website"), blank=True)
    industry = models.CharField(_("industry"), max_length=100, blank=True)
    staff = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("stand staff"),
        blank=True,
        related_name="exhibitions",
        help_text=_("Who works at our stand. Stand staff see the customers and visits of their exhibitions only."),
    )
    # The e-mail to visitors who have agreed to it; none if blank.
    thank_you_subject = models.CharField(
        _("subject"), max_length=150, blank=True, db_default="", default="", validators=[validate_merge_fields]
    )
    thank_you_text = models.TextField(
        _("text"),
        max_length=10_000,
        blank=True,
        db_default="",
        default="",
        validators=[validate_merge_fields],
        help_text=_(
            "Fields: {given_name}, {family_name}, {company}, {exhibition}, {seller}. A word for people without one: "
            "{given_name|visitor}."
        ),
    )
    # By WhatsApp where the visitor has agreed to that, and a number is known.
    thank_you_template = models.CharField(
        _("template of WhatsApp"),
        max_length=100,
        blank=True,
        db_default="",
        default="",
        validators=[RegexValidator(r"^[a-z0-9_]+$", _("Lower-case letters, digits and underscores, as at Meta."))],
        help_text=_("The name of one that Meta has approved in this language; without it, all get an e-mail."),
    )
    thank_you_parameters = models.TextField(
        _("its parameters"),
        max_length=1000,
        blank=True,
        db_default="",
        default="",
        validators=[validate_merge_fields],
        help_text=_("One in each line, such as {given_name|visitor}."),
    )
    thank_you_language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, db_default="en", default="en"
    )
    thank_you_hours = models.PositiveSmallIntegerField(
        _("hours after the visit"), db_default=2, default=2, validators=[MaxValueValidator(72)]
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
            models.CheckConstraint(
                name="exhibition_days_in_range",
                condition=Q(starts_on__gte=EARLIEST.date(), ends_on__lt=LATEST.date()),
                violation_error_message=_("The years of an exhibition are between 1970 and 2199."),
            ),
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

    def clean(self) -> None:
        if bool(self.thank_you_subject) != bool(self.thank_you_text):
            missing = "thank_you_text" if self.thank_you_subject else "thank_you_subject"
            raise ValidationError({missing: _("Enter both a subject and a text, or neither.")})

    @property
    def label(self) -> str:
        """The name with the time zone, in which the times of its visits are."""
        return f"{self} ({self.zone})"

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone; UTC if Python or PostgreSQL does not know the stored name (any more)."""
        return get_zone(self.time_zone)

    def is_open_at(self, moment: datetime) -> bool:
        return self.starts_on <= self.local_date(moment) <= self.ends_on

    def local_date(self, moment: datetime) -> date:
        """Return the moment's date in the exhibition's time zone."""
        return moment.astimezone(self.zone).date()
