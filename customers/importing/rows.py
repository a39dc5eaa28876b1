"""Validation of a record of the file by the rules of the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext as _

from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Problem, escape_control, format_value
from customers.importing.records import Record
from customers.importing.values import CLEANERS, ONE_VALUE, split_name
from customers.models import Company

SEPARATORS = " ;,:/|<>\n"
# Characters. No value of these fields is as long, and the time of a search grows with the square.
MAX_CLEANED = 2_000
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
    originals: dict[str, str]  # texts of the file by column, where the value is not the same
    left_out: list[Problem]  # values that are not stored
    employer_missing: bool = False
    is_repeat: bool = False  # of a row that an earlier batch has written
    is_changed: bool = True  # has something to write
    is_rejected: bool = False

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def known(self) -> bool:
        """Whether the row's record exists."""
        return "id" in self.values

    def merge(self, kind: Kind, records: Sequence[dict[str, Any]]) -> None:
        """Take the values of the record, if there is one, where the file has none.

        A repeat changes only blanks of the record.
        """
        if not records:
            self.is_repeat = False  # the row before was rejected
            return
        (record,) = records
        columns = [column for column in self.filled if not (self.is_repeat and record[column])]
        changes = {
            column: self.values[column]
            for column in columns
            if record[column] not in (self.values[column], self.originals.get(column))
        }
        self.values = record | changes
        if changes:
            self._derive(kind)
        self.employer_missing &= not (self.is_repeat and record.get("company_id"))
        self.is_changed = bool(changes) or self.employer_missing

    def fill(self, kind: Kind, repeat: "Row") -> None:
        """Fill blanks with the values of a row with the same key."""
        columns = [column for column in repeat.filled if repeat.values[column] and not self.values[column]]
        takes_employer = repeat.employer_missing and not self.values["company_id"] and not self.employer_missing
        if takes_employer:
            self.employer, self.employer_missing = repeat.employer, True
        self.values.update((column, repeat.values[column]) for column in columns)
        if columns:
            self._derive(kind)
        self.is_changed |= bool(columns) or takes_employer

    def leave_out_employer(self, problem: Problem) -> None:
        self.left_out.append(problem)
        self.values["company_id"], self.employer, self.employer_missing = None, "", False
        self.filled.remove("company_id")

    def _derive(self, kind: Kind) -> None:
        instance = kind.model(**{column: self.values[column] for column in kind.stored_columns})
        instance.normalise()
        self.values.update((column, getattr(instance, column)) for column in kind.derived_columns)


class RowReader:
    """Validates the records of one file."""

    def __init__(self, kind: Kind, columns: Columns, *, strict: bool = False) -> None:
        self._kind = kind
        self._columns = columns
        self._strict = strict
        # One instance validates all rows: creating one costs as much as its validation.
        self._instance = kind.model(**kind.defaults)
        self._blank = kind.blank_values()
        # Companies are looked up by name, in one query per batch.
        self._exclude = {field.name for field in kind.model._meta.fields} - {*kind.fields} | {"company"}
        self._fields = [name for name, positions in columns.positions.items() if positions]

    def read(self, record: Record) -> Row:
        """Validate like the model, leaving out values that are optional and invalid.

        Raises RowError with all problems of the row if it cannot be stored without them, or if `strict`.
        """
        cells = self._complete(record.cells)
        texts, originals, problems = self._texts(cells)
        while errors := self._errors(texts):
            problems += self._problems(errors, cells)
            if any(field in self._kind.required or field not in texts for field in errors):
                raise RowError(*problems)
            texts = {field: text for field, text in texts.items() if field not in errors}
        if problems and self._strict:
            raise RowError(*problems)
        state = vars(self._instance)
        values = {column: state[column] for column in self._blank}
        employer = texts.pop("company", "")
        filled = [*texts, "company_id"] if employer else [*texts]
        return Row(record, values, filled, employer, originals, problems)

    def _complete(self, cells: list[str]) -> list[str]:
        """Return the cells with blanks for those that a row ends without."""
        width = len(self._columns.header)
        if any(cells[width:]):
            text = _("The row has %(cells)s cells, the header has %(width)s. Is a cell with a delimiter not quoted?")
            raise RowError(Problem("", "", text % {"cells": len(cells), "width": width}))
        return cells if len(cells) >= width else cells + [""] * (width - len(cells))

    def _texts(self, cells: Sequence[str]) -> tuple[dict[str, str], dict[str, str], list[Problem]]:
        """Return the values by field, the texts of those that differ, and what is not stored.

        A blank cell leaves the field unchanged.
        """
        texts: dict[str, str] = {}
        originals: dict[str, str] = {}
        problems: list[Problem] = []
        for name in self._fields:
            text = self._columns.text(name, cells)
            if not text:
                continue
            first = self._columns.first_value(name, text, cells) if ";" in text or ":" in text else text
            is_short = len(first) <= MAX_CLEANED
            cleaned, reason = CLEANERS[name](first) if name in CLEANERS and is_short else (first, "")
            if reason or first != text:
                column, value = self._columns.source(name, cells)
                rest = value.replace(cleaned, "", 1).strip(SEPARATORS)
                problems.append(Problem(column, format_value(rest), str(reason or ONE_VALUE)))
            if cleaned != text:
                originals[name] = text
            if cleaned:
                texts[name] = cleaned
        if full_name := texts.pop("full_name", ""):
            add_names(texts, full_name)
        return texts, originals, problems

    def _errors(self, texts: Mapping[str, str]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        vars(self._instance).update(self._blank, **texts)
        try:
            self._instance.clean_fields(exclude=self._exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        try:
            self._instance.clean()
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        try:
            if "company" in texts:
                EMPLOYER_NAME.clean(texts["company"], None)
        except ValidationError as error:
            errors["company"] = error
        return errors

    def _problems(self, errors: dict[str, Any], cells: Sequence[str]) -> Iterator[Problem]:
        for name, messages in ValidationError(errors).message_dict.items():
            column, value = self._columns.source(name, cells)
            if not column and name != NON_FIELD_ERRORS:
                column = name
            yield Problem(column, format_value(value), " ".join(escape_control(message) for message in messages))


def add_names(texts: dict[str, str], full_name: str) -> None:
    """Add the names that have no column of their own; beside a given name, "Name" is the family name."""
    given, family = texts.get("given_name", ""), texts.get("family_name", "")
    if given and not family:
        texts["family_name"] = full_name.removeprefix(f"{given} ").strip()
    elif not given and not family:
        names = zip(("given_name", "family_name"), split_name(full_name), strict=True)
        texts.update((name, text) for name, text in names if text)
