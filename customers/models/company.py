from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Upper
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import CountryField, WebAddressField
from core_apps.common.models import PublicModel
from customers.models.rules import COUNTRY, DOMAIN, WEB_ADDRESS, blank_or_matches, normalise_domain, validate_domain
from customers.querysets import CompanyQuerySet


class Company(PublicModel):
    """An organisation, identified by its web domain or, without one, by name and country."""

    name = models.CharField(_("name"), max_length=200)
    domain = models.CharField(_("web domain"), max_length=253, blank=True, validators=[validate_domain])
    country = CountryField(_("country"))
    industry = models.CharField(_("industry"), max_length=100, blank=True)
    website = WebAddressField(_("website"), blank=True)
    search_text = models.TextField(
        blank=True, db_default="", editable=False, help_text=_("Set by a database trigger: name and domain.")
    )

    objects: ClassVar[CompanyQuerySet] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ("name", "pk")
        constraints = (
            models.CheckConstraint(name="company_name_not_blank", condition=~Q(name="")),
            models.CheckConstraint(
                name="company_domain_is_a_lower_case_domain",
                condition=Q(domain="") | Q(domain=Lower(F("domain")), domain__regex=DOMAIN),
            ),
            models.CheckConstraint(name="company_country_is_a_code", condition=blank_or_matches("country", COUNTRY)),
            models.CheckConstraint(
                name="company_website_is_a_web_address", condition=blank_or_matches("website", WEB_ADDRESS)
            ),
            models.UniqueConstraint(
                fields=("domain",),
                condition=~Q(domain=""),
                name="company_unique_domain",
                violation_error_message=_("A company with this web domain already exists."),
            ),
            models.UniqueConstraint(
                Upper("name"),
                "country",
                condition=Q(domain=""),
                name="company_unique_name_without_domain",
                violation_error_message=_("A company with this name and no web domain already exists in this country."),
            ),
        )
        indexes = (
            models.Index(fields=("name", "id"), name="company_by_name"),
            models.Index(Upper("name"), name="company_by_upper_name"),
            models.Index(fields=("country", "name"), name="company_by_country"),
            models.Index(fields=("industry", "name"), name="company_by_industry"),
            GinIndex(OpClass("search_text", "gin_trgm_ops"), name="company_by_search_text"),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.normalise()

    def save(self, *args: object, **kwargs: object) -> None:
        self.normalise()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def normalise(self) -> None:
        self.domain = normalise_domain(self.domain)
