"""Turns a record of the file into a valid instance of the model, or says why it cannot be one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from customers.importing.countries import country_code
from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Fault, shown, visible
from customers.importing.records import Record
from customers.models import Company

EMPLOYER_NAME = Company._meta.get_field("name")


class RowRefused(Exception):
    def __init__(self, *faults: Fault) -> None:
        self.faults = faults


@dataclass(slots=True, eq=False)
class Row:
    """A valid row on its way into the database."""

    record: Record
    values: dict[str, Any]  # by column of the table
    filled: list[str]  # the columns that the file has a value for
    employer: str  # the name of a customer's company
    employer_missing: bool = False

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def known(self) -> bool:
        """Whether the row changes a record that exists."""
        return "id" in self.values

    def merge(self, kind: Kind, record: dict[str, Any]) -> bool:
        """Puts what the file says over what the record says; whether that makes a difference."""
        changes = {column: self.values[column] for column in self.filled if self.values[column] != record[column]}
        if not changes and not self.employer_missing:
            return False
        instance = kind.model(**record | changes)
        instance.normalise()
        self.values = record | changes | {column: getattr(instance, column) for column in kind.derived}
        return True


class RowReader:
    """Reads the rows of one file."""

    def __init__(self, kind: Kind, columns: Columns) -> None:
        self._kind = kind
        self._columns = columns
        # One instance validates all rows: making it costs as much as its validation.
        self._instance = kind.model(**kind.defaults)
        self._blank = kind.blank()
        # A company is looked up by its name, once for a whole batch.
        self._exclude = {field.name for field in kind.model._meta.fields} - {*kind.fields} | {"company"}

    def read(self, record: Record) -> Row:
        """Validates as the model does; raises RowRefused with every fault of the row."""
        self._check_width(record.cells)
        texts = self._texts(record.cells)
        employer = texts.pop("company", "")
        state = vars(self._instance)
        state.update(self._blank, **texts)
        errors = self._errors(employer)
        if errors:
            raise RowRefused(*self._faults(errors, record.cells))
        values = {column: state[column] for column in self._blank}
        return Row(record, values, [*texts, "company_id"] if employer else [*texts], employer)

    def _check_width(self, cells: list[str]) -> None:
        width = len(self._columns.header)
        if len(cells) < width or any(cells[width:]):
            raise RowRefused(Fault("", "", f"The row has {len(cells)} cells, the header {width}."))

    def _texts(self, cells: list[str]) -> dict[str, str]:
        """What the file says, by field; a blank cell says nothing."""
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

    def _faults(self, errors: dict[str, Any], cells: list[str]) -> Iterator[Fault]:
        for field, messages in ValidationError(errors).message_dict.items():
            column, value = self._columns.source(field, cells)
            if not column and field != NON_FIELD_ERRORS:
                column = field
            yield Fault(column, shown(value), " ".join(visible(message) for message in messages))
