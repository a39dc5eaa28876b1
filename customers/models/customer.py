from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.core.validators import validate_image_file_extension
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import CountryField, LowercaseEmailField
from core_apps.common.models import PublicModel
from core_apps.media.photos import PhotoField
from customers.models.company import Company
from customers.models.phones import to_e164
from customers.models.rules import COUNTRY, E164, blank_or_matches
from customers.models.tag import Tag
from customers.querysets import CustomerQuerySet


def photo_path(_customer: "Customer", _filename: str) -> str:
    """Return a random name that cannot be guessed, without any part of the uploaded file's name."""
    return f"photos/{uuid4().hex}.jpg"


class Customer(PublicModel):
    """A person met at an exhibition."""

    MERGE_FIELDS = ("given_name", "family_name", "company", "seller")

    class Stage(models.TextChoices):
        LEAD = "lead", _("Lead")
        PROSPECT = "prospect", _("Prospect")
        CUSTOMER = "customer", _("Customer")
        INACTIVE = "inactive", _("Inactive")

    class Source(models.TextChoices):
        STAND = "stand", _("Met at a stand")
        IMPORT = "import", _("Imported")
        WEBSITE = "website", _("Website")
        REFERRAL = "referral", _("Referral")
        OTHER = "other", _("Other")

    given_name = models.CharField(_("given name"), max_length=100, blank=True)
    family_name = models.CharField(_("family name"), max_length=100, blank=True)
    email = LowercaseEmailField(_("e-mail"), blank=True)
    phone = models.CharField(
        _("phone"),
        max_length=50,
        blank=True,
        help_text=_("Any format; without +, in the customer's country."),
    )
    phone_e164 = models.CharField(_("phone (E.164)"), max_length=16, blank=True, editable=False)
    job_title = models.CharField(_("job title"), max_length=150, blank=True)
    company = models.ForeignKey(
        Company, models.PROTECT, verbose_name=_("company"), null=True, blank=True, related_name="customers"
    )
    country = CountryField(_("country"))
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.LEAD)
    source = models.CharField(_("source"), max_length=10, choices=Source, default=Source.STAND)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        related_name="customers",
        help_text=_("The colleague responsible for the customer."),
    )
    tags = models.ManyToManyField(Tag, verbose_name=_("tags"), blank=True, related_name="customers")
    notes = models.TextField(_("notes"), max_length=10_000, blank=True)
    photo = PhotoField(
        _("photo"), upload_to=photo_path, max_length=60, blank=True, validators=[validate_image_file_extension]
    )
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)
    search_text = models.TextField(
        blank=True,
        db_default="",
        editable=False,
        help_text=_("Set by a database trigger: names, e-mail, digits of the phone number, company."),
    )

    objects: ClassVar[CustomerQuerySet] = CustomerQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ("-created_at", "-pk")
        permissions = (
            ("view_every_customer", "Can see the customers, visits and follow-ups of every exhibition"),
            ("export_customer", "Can export customers"),
            ("archive_customer", "Can archive customers and restore them"),
        )
        constraints = (
            models.CheckConstraint(
                name="customer_has_a_name_an_email_or_a_phone",
                condition=~Q(given_name="", family_name="", email="", phone=""),
            ),
            models.CheckConstraint(name="customer_email_lower_case", condition=Q(email=Lower(F("email")))),
            models.CheckConstraint(name="customer_phone_e164_form", condition=blank_or_matches("phone_e164", E164)),
            models.CheckConstraint(
                name="customer_phone_e164_comes_from_phone", condition=Q(phone_e164="") | ~Q(phone="")
            ),
            models.CheckConstraint(name="customer_country_is_a_code", condition=blank_or_matches("country", COUNTRY)),
            models.CheckConstraint(
                name="customer_stage_known",
                condition=Q(stage__in=("lead", "prospect", "customer", "inactive")),
            ),
            models.CheckConstraint(
                name="customer_source_known",
                condition=Q(source__in=("stand", "import", "website", "referral", "other")),
            ),
        )
        indexes = (
            models.Index(fields=("-created_at", "-id"), name="customer_newest_first"),
            models.Index(fields=("family_name", "given_name", "id"), name="customer_by_name"),
            models.Index(Upper("family_name"), Upper("given_name"), "company", name="customer_by_natural_key"),
            models.Index(fields=("email",), name="customer_by_email", condition=~Q(email="")),
            models.Index(fields=("phone_e164",), name="customer_by_phone", condition=~Q(phone_e164="")),
            models.Index(fields=("stage", "-created_at", "-id"), name="customer_by_stage"),
            models.Index(fields=("source", "-created_at", "-id"), name="customer_by_source"),
            models.Index(fields=("country", "-created_at", "-id"), name="customer_by_country"),
            models.Index(fields=("owner", "stage", "-created_at", "-id"), name="customer_by_owner"),
            models.Index(fields=("photo",), name="customer_by_photo", condition=~Q(photo="")),
            models.Index(fields=("-archived_at",), name="customer_archived", condition=Q(archived_at__isnull=False)),
            GinIndex(OpClass("search_text", "gin_trgm_ops"), name="customer_by_search_text"),
        )

    def __str__(self) -> str:
        return self.full_name or self.email or self.phone

    @property
    def label(self) -> str:
        """The name with company and e-mail address, which tell namesakes apart."""
        details = ", ".join(filter(None, (self.company.name if self.company else "", self.email)))
        return f"{self} ({details})" if details and str(self) != self.email else str(self)

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    def get_merge_fields(self) -> dict[str, str]:
        """The values of MERGE_FIELDS."""
        return {
            "given_name": self.given_name,
            "family_name": self.family_name,
            "company": self.company.name if self.company else "",
            "seller": str(self.owner or ""),
        }

    @property
    def archived(self) -> bool:
        return self.archived_at is not None

    @archived.setter
    def archived(self, value: bool) -> None:
        if value != self.archived:
            self.archived_at = timezone.now() if value else None

    def clean(self) -> None:
        self.normalise()
        if not (self.given_name or self.family_name or self.email or self.phone):
            raise ValidationError({"family_name": _("Enter a name, an e-mail address or a phone number.")})

    def save(self, *args: object, **kwargs: object) -> None:
        self.normalise()
        with transaction.atomic(savepoint=False):  # PhotoField requires a transaction
            super().save(*args, **kwargs)  # type: ignore[arg-type]

    def normalise(self) -> None:
        self.phone_e164 = to_e164(self.phone, self.country or settings.PHONE_REGION)
