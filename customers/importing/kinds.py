"""What can be imported: the fields a file may set, and the natural key that identifies a row's record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models.expressions import DatabaseDefault
from django.utils.translation import gettext_lazy as _

from customers.importing.presets import COMPANY_HEADERS, CUSTOMER_HEADERS
from customers.models import Company, Customer


@dataclass(frozen=True)
class Kind:
    """An importable model. Key and conditions are SQL, where `r` is a row of the file and `t` a row of the table."""

    model: type[Company] | type[Customer]
    fields: Sequence[str]
    headers: Mapping[str, Sequence[str]]
    one_required: Sequence[str]  # a file needs at least one of these fields
    required: Sequence[str]  # a row is refused without these
    key: str  # an expression of type text
    key_columns: Sequence[str]
    key_fields: Callable[[Mapping[str, Any]], Sequence[str]]  # the key fields of a row with these values
    match_conditions: Sequence[str]  # how a row finds its record; mutually exclusive
    derived_columns: Sequence[str] = ()  # columns that normalise() sets
    defaults: Mapping[str, str] = field(default_factory=dict)
    correction_conditions: Sequence[str] = ()  # how a row of an errors file finds the record that lacks its key
    similar_conditions: Sequence[tuple[Any, str]] = ()  # what a similar record has in common, and its condition

    @property
    def identifying_columns(self) -> list[str]:
        """The columns that records are compared by to find the same or a similar one."""
        return [*self.key_columns, *self.derived_columns]

    @cached_property
    def stored_columns(self) -> list[str]:
        """The columns that an import compares and updates."""
        columns = {field.name: field.attname for field in self.model._meta.fields}
        return [*(columns[name] for name in self.fields), *self.derived_columns]

    @property
    def inserted_columns(self) -> list[str]:
        """The columns that an INSERT sets: the imported fields, and those without a database default."""
        stored = self.stored_columns
        return [
            field.attname
            for field in self.model._meta.concrete_fields
            if field.attname in stored or not (field.primary_key or field.has_db_default())
        ]

    def blank_values(self) -> dict[str, Any]:
        """The values of `inserted_columns` for a row whose cells are all blank."""
        instance = vars(self.model(**self.defaults))
        defaults = {field.attname: field.db_default for field in self.model._meta.concrete_fields}
        return {
            column: defaults[column] if isinstance(instance[column], DatabaseDefault) else instance[column]
            for column in self.inserted_columns
        }

    @property
    def presets(self) -> dict[str, list[str]]:
        """The accepted headers of each field, including the model's own names."""
        own = {name: [*self.headers.get(name, ()), name, self.labels[name]] for name in self.fields}
        return own | {name: [*headers, name] for name, headers in self.headers.items() if name not in own}

    @property
    def labels(self) -> dict[str, str]:
        return {field.name: str(field.verbose_name) for field in self.model._meta.fields}


COMPANIES = Kind(
    model=Company,
    fields=("name", "domain", "country", "industry", "website"),
    headers=COMPANY_HEADERS,
    one_required=("name",),
    required=("name",),
    key="CASE WHEN r.domain <> '' THEN r.domain ELSE upper(r.name) || '/' || r.country END",
    key_columns=("name", "domain", "country"),
    key_fields=lambda values: ["domain"] if values["domain"] else ["name", "country"],
    match_conditions=(
        "r.domain <> '' AND t.domain <> '' AND t.domain = r.domain",
        "r.domain = '' AND t.domain = '' AND upper(t.name) = upper(r.name) AND t.country = r.country",
    ),
)


def customer_key(values: Mapping[str, Any]) -> Sequence[str]:
    if values["email"]:
        return ["email"]
    # A person without a name is identified by the phone number.
    names = [field for field in ("given_name", "family_name") if values[field]]
    return [*(names or ["phone"]), "company"]


HAS_SAME_NAME = (
    "t.email = '' AND upper(t.family_name) = upper(r.family_name) AND upper(t.given_name) = upper(r.given_name)"
    " AND t.company_id IS NOT DISTINCT FROM r.company_id AND (r.employer = '' OR r.company_id IS NOT NULL)"
    " AND (r.given_name || r.family_name <> '' OR t.phone = r.phone)"
)
CUSTOMERS = Kind(
    model=Customer,
    fields=("given_name", "family_name", "email", "phone", "job_title", "company", "country", "stage", "notes"),
    headers=CUSTOMER_HEADERS,
    one_required=("given_name", "family_name", "full_name", "email", "phone"),
    required=(),
    key="CASE WHEN r.email <> '' THEN r.email ELSE json_build_array(upper(r.given_name), upper(r.family_name),"
    " upper(r.employer), CASE WHEN r.given_name || r.family_name = '' THEN r.phone END)::text END",
    key_columns=("given_name", "family_name", "email", "phone", "company_id"),
    key_fields=customer_key,
    match_conditions=(
        "r.email <> '' AND t.email <> '' AND t.email = r.email",
        f"r.email = '' AND {HAS_SAME_NAME}",
    ),
    correction_conditions=(
        f"r.email <> '' AND {HAS_SAME_NAME}"
        f" AND NOT EXISTS (SELECT FROM {Customer._meta.db_table} other WHERE other.email = r.email)",
    ),
    derived_columns=("phone_e164",),
    similar_conditions=(
        (_("phone number"), "r.phone_e164 <> '' AND t.phone_e164 = r.phone_e164"),
        (
            _("name and company"),
            "upper(t.family_name) = upper(r.family_name)"
            " AND upper(t.given_name) = upper(r.given_name) AND t.company_id = r.company_id",
        ),
    ),
    defaults={"source": Customer.Source.IMPORT},
)
