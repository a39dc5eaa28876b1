"""Serializers that ask the models' own rules, which the framework leaves aside."""

import copy
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from core_apps.common.visibility import visible_rows

JSON_TYPES = (
    (serializers.CharField, str),
    (serializers.BooleanField, bool),
    (serializers.IntegerField, int),
    (serializers.DateTimeField, str),
    (serializers.DateField, str),
)


class RelatedField(serializers.SlugRelatedField[Any]):
    """Another row by a unique field; only null means none."""

    def run_validation(self, data: Any = empty) -> Any:
        """Not by DRF's method, which takes an empty string for null, as HTML forms send it."""
        return super(serializers.RelatedField, self).run_validation(data)


@extend_schema_field({"type": "string", "format": "uuid"})
class PublicRelatedField(RelatedField):
    """Another row by its public id; only one that the person sees can be chosen."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="public_id", **options)

    def get_queryset(self) -> Any:
        return visible_rows(super().get_queryset(), self.context["request"].user)  # type: ignore[arg-type]

    def to_internal_value(self, data: Any) -> Any:
        rows = self.get_queryset()
        try:
            return rows.get(public_id=serializers.UUIDField().to_internal_value(data))
        except ObjectDoesNotExist:
            self.fail("does_not_exist", slug_name="id", value=data)


class ModelSerializer(serializers.ModelSerializer[Any]):
    """Refuses what it does not know, and lets the model check what it would save."""

    def get_validators(self) -> list[Any]:
        """None: the model's own constraints say it, for more kinds of them."""
        return []

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            self.refuse_unknown(data)
        return super().to_internal_value(data)

    def refuse_unknown(self, data: dict[str, Any]) -> None:
        """Raises ValidationError: who sends a field expects it to be written."""
        errors = {}
        for name in data:
            field = self.fields.get(name)
            if field is None:
                errors[name] = [ErrorDetail(_("There is no such field."), "unknown")]
            elif field.read_only:
                errors[name] = [ErrorDetail(_("This field cannot be written."), "read_only")]
            elif not is_of_its_kind(field, data[name]):
                errors[name] = [ErrorDetail(_("This is another type of JSON than the field has."), "invalid_type")]
        if errors:
            raise serializers.ValidationError(errors)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """By `clean_fields` for what is sent, `clean` and the constraints for all of the row."""
        row = self.candidate(attrs)
        sent = {field.name for field in row._meta.fields if field.name in attrs}
        unsent = {field.name for field in row._meta.fields} - sent if self.instance else self.unknown_fields(row)
        try:
            row.clean_fields(exclude=unsent)
            row.clean()
            row.validate_unique()
            row.validate_constraints()
        except DjangoValidationError as error:
            raise serializers.ValidationError(self.by_own_names(error)) from None
        return attrs

    def candidate(self, attrs: dict[str, Any]) -> models.Model:
        """The row as it would be saved."""
        row: models.Model = copy.copy(self.instance) if self.instance else self.Meta.model()  # type: ignore[misc]
        many = {field.name for field in row._meta.many_to_many}
        for name, value in attrs.items():
            if name not in many:
                setattr(row, name, value)
        return row

    def unknown_fields(self, row: models.Model) -> set[str]:
        """Those that no request can set; the database or the model fills them in."""
        own = {field.source for field in self.fields.values() if not field.read_only}
        return {field.name for field in row._meta.fields if field.name not in own}

    def by_own_names(self, error: DjangoValidationError) -> dict[str, Any]:
        names = {field.source: name for name, field in self.fields.items()}
        details = serializers.as_serializer_error(error)
        return {names.get(source, source): reasons for source, reasons in details.items()}


def is_of_its_kind(field: Any, value: Any) -> bool:
    """The framework takes a number for a text and "yes" for true, which the schema does not."""
    if value is None:
        return True
    if type(field) is serializers.ChoiceField:
        return type(value) in {type(choice) for choice in field.choices}
    for kind, wanted in JSON_TYPES:
        if isinstance(field, kind):
            return type(value) is wanted
    return True


def narrow(serializer: serializers.Serializer[Any], wanted: list[str]) -> None:
    """Leaves out what is not wanted, before any of it is looked up."""
    for name in set(serializer.fields) - set(wanted):
        del serializer.fields[name]
