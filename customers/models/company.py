from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Upper

from core_apps.common.fields import CountryField, WebAddressField
from core_apps.common.models import TimeStampedModel
from customers.models.rules import COUNTRY, DOMAIN, WEB_ADDRESS, blank_or_matches, validate_domain


class Company(TimeStampedModel):
    """An organisation; known by its web domain or, where it has none, by its name in its country."""

    name = models.CharField(max_length=200)
    domain = models.CharField("web domain", max_length=253, blank=True, validators=[validate_domain])
    country = CountryField()
    industry = models.CharField(max_length=100, blank=True)
    website = WebAddressField(blank=True)

    class Meta:
        verbose_name_plural = "companies"
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
                violation_error_message="A company with this web domain exists already.",
            ),
            models.UniqueConstraint(
                Upper("name"),
                "country",
                condition=Q(domain=""),
                name="company_unique_name_without_domain",
                violation_error_message="A company of this name without a web domain exists in this country.",
            ),
        )
        indexes = (
            models.Index(fields=("name", "id"), name="company_by_name"),
            models.Index(Upper("name"), name="company_by_upper_name"),
            models.Index(fields=("country", "name"), name="company_by_country"),
            models.Index(fields=("industry", "name"), name="company_by_industry"),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.normalise()

    def save(self, *args: object, **kwargs: object) -> None:
        self.normalise()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def normalise(self) -> None:
        self.domain = self.domain.lower()
