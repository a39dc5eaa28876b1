"""Validation of a record of the file by the rules of the model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from customers.importing.countries import country_code
from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Problem, escape_control, format_value
from customers.importing.records import Record
from customers.models import Company

EMPLOYER_NAME = Company._meta.get_field("name")


class RowError(Exception):
    def __init__(self, *problems: Problem) -> None:
        self.problems = problems


@dataclass(slots=True, eq=False)
class Row:
    """A valid row that has not been written yet."""

    record: Record
    values: dict[str, Any]  # by column of the table
    filled: list[str]  # columns with a value in the file
    employer: str  # the name of a customer's company
    employer_missing: bool = False

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def known(self) -> bool:
        """Whether the row's record exists."""
        return "id" in self.values

    def merge(self, kind: Kind, record: dict[str, Any]) -> bool:
        """Overwrite the record's values with those of the file; return whether any value changed."""
        changes = {column: self.values[column] for column in self.filled if self.values[column] != record[column]}
        if not changes and not self.employer_missing:
            return False
        instance = kind.model(**record | changes)
        instance.normalise()
        self.values = record | changes | {column: getattr(instance, column) for column in kind.derived_columns}
        return True


class RowReader:
    """Validates the records of one file."""

    def __init__(self, kind: Kind, columns: Columns) -> None:
        self._kind = kind
        self._columns = columns
        # One instance validates all rows: creating one costs as much as its validation.
        self._instance = kind.model(**kind.defaults)
        self._blank = kind.blank_values()
        # Companies are looked up by name, in one query per batch.
        self._exclude = {field.name for field in kind.model._meta.fields} - {*kind.fields} | {"company"}

    def read(self, record: Record) -> Row:
        """Validate like the model; raise RowError with all problems of the row."""
        self._check_width(record.cells)
        texts = self._texts(record.cells)
        employer = texts.pop("company", "")
        state = vars(self._instance)
        state.update(self._blank, **texts)
        errors = self._errors(employer)
        if errors:
            raise RowError(*self._problems(errors, record.cells))
        values = {column: state[column] for column in self._blank}
        return Row(record, values, [*texts, "company_id"] if employer else [*texts], employer)

    def _check_width(self, cells: list[str]) -> None:
        width = len(self._columns.header)
        if len(cells) < width or any(cells[width:]):
            raise RowError(Problem("", "", f"The row has {len(cells)} cells, the header has {width}."))

    def _texts(self, cells: list[str]) -> dict[str, str]:
        """Return the texts by field; a blank cell leaves the field unchanged."""
        texts = {field: text for field in self._columns.positions if (text := self._columns.text(field, cells))}
        if "country" in texts:
            texts["country"] = country_code(texts["country"])
        if "stage" in texts:
            texts["stage"] = texts["stage"].lower()
        return texts

    def _errors(self, employer: str) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        try:
            self._instance.clean_fields(exclude=self._exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        try:
            self._instance.clean()
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        try:
            if employer:
                EMPLOYER_NAME.clean(employer, None)
        except ValidationError as error:
            errors["company"] = error
        return errors

    def _problems(self, errors: dict[str, Any], cells: list[str]) -> Iterator[Problem]:
        for field, messages in ValidationError(errors).message_dict.items():
            column, value = self._columns.source(field, cells)
            if not column and field != NON_FIELD_ERRORS:
                column = field
            yield Problem(column, format_value(value), " ".join(escape_control(message) for message in messages))
