"""Serializers that run the validation of the models, which DRF does not."""

import copy
from datetime import UTC
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.utils.timezone import is_naive
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from core_apps.common.visibility import filter_visible

JSON_TYPES = (
    (serializers.CharField, str),
    (serializers.BooleanField, bool),
    (serializers.IntegerField, int),
    (serializers.DateTimeField, str),
    (serializers.DateField, str),
)


class DateTimeField(serializers.DateTimeField):
    """A date and time with its offset from UTC, as in RFC 3339."""

    default_error_messages = {"no_offset": gettext_lazy("Add the offset from UTC: 2026-11-29T16:35:00+01:00.")}  # noqa: RUF012 - DRF's own attribute

    def __init__(self, **options: Any) -> None:
        """Represents times in UTC: cached responses are shared by people with different time zones."""
        super().__init__(**{"default_timezone": UTC} | options)

    def enforce_timezone(self, value: Any) -> Any:
        if is_naive(value):
            self.fail("no_offset")
        return super().enforce_timezone(value)


class RelatedField(serializers.SlugRelatedField[Any]):
    """A related row by a unique field; only null means none."""

    def run_validation(self, data: Any = empty) -> Any:
        """Skips DRF's method, which treats an empty string as null, as in HTML forms."""
        return super(serializers.RelatedField, self).run_validation(data)


@extend_schema_field({"type": "string", "format": "uuid"})
class PublicRelatedField(RelatedField):
    """A related row by its public id, among those visible to the user."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="public_id", **options)

    def get_queryset(self) -> Any:
        return filter_visible(super().get_queryset(), self.context["request"].user)  # type: ignore[arg-type]

    def to_internal_value(self, data: Any) -> Any:
        rows = self.get_queryset()
        try:
            return rows.get(public_id=serializers.UUIDField().to_internal_value(data))
        except ObjectDoesNotExist:
            self.fail("does_not_exist", slug_name="id", value=data)


class ModelSerializer(serializers.ModelSerializer[Any]):
    """Rejects unknown fields and validates the row by its model."""

    serializer_field_mapping: ClassVar = serializers.ModelSerializer.serializer_field_mapping | {
        models.DateTimeField: DateTimeField
    }

    def get_validators(self) -> list[Any]:
        """Empty: `validate` checks the constraints of the model."""
        return []

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            self.check_field_names(data)
        return super().to_internal_value(data)

    def check_field_names(self, data: dict[str, Any]) -> None:
        """Raises ValidationError for fields that are unknown, read-only or of another JSON type."""
        errors = {}
        for name in data:
            field = self.fields.get(name)
            if field is None:
                errors[name] = [ErrorDetail(_("Unknown field."), "unknown")]
            elif field.read_only:
                errors[name] = [ErrorDetail(_("This field is read-only."), "read_only")]
            elif not has_json_type(field, data[name]):
                errors[name] = [ErrorDetail(_("Wrong JSON type for this field."), "invalid_type")]
        if errors:
            raise serializers.ValidationError(errors)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """`clean_fields` for the fields sent; `clean` and the constraints for the whole row."""
        row = self.build_instance(attrs)
        sent = {field.name for field in row._meta.fields if field.name in attrs}
        unsent = {field.name for field in row._meta.fields} - sent if self.instance else self.get_unwritable_fields(row)
        try:
            row.clean_fields(exclude=unsent)
            row.clean()
            row.validate_unique()
            row.validate_constraints()
        except DjangoValidationError as error:
            raise serializers.ValidationError(self.rename_errors(error)) from None
        return attrs

    def build_instance(self, attrs: dict[str, Any]) -> models.Model:
        """The row as it would be saved, without many-to-many values."""
        row: models.Model = copy.copy(self.instance) if self.instance else self.Meta.model()  # type: ignore[misc]
        many = {field.name for field in row._meta.many_to_many}
        for name, value in attrs.items():
            if name not in many:
                setattr(row, name, value)
        return row

    def get_unwritable_fields(self, row: models.Model) -> set[str]:
        """Fields that no request can set; the database or the model fills them in."""
        writable = {field.source for field in self.fields.values() if not field.read_only}
        return {field.name for field in row._meta.fields if field.name not in writable}

    def rename_errors(self, error: DjangoValidationError) -> dict[str, Any]:
        names = {field.source: name for name, field in self.fields.items()}
        details = serializers.as_serializer_error(error)
        return {names.get(source, source): reasons for source, reasons in details.items()}


def has_json_type(field: Any, value: Any) -> bool:
    """Stricter than DRF, which accepts a number as a string and "yes" as true."""
    if value is None:
        return True
    if type(field) is serializers.ChoiceField:
        return type(value) in {type(choice) for choice in field.choices}
    for kind, json_type in JSON_TYPES:
        if isinstance(field, kind):
            return type(value) is json_type
    return True


def keep_fields(serializer: serializers.Serializer[Any], names: list[str]) -> None:
    """Removes the other fields before their values are loaded."""
    for name in set(serializer.fields) - set(names):
        del serializer.fields[name]
