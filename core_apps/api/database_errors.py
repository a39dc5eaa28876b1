"""Database errors as errors of the API."""

import logging
from functools import cache

from django.apps import apps
from django.db import IntegrityError
from django.db.models import BaseConstraint
from django.utils.translation import gettext as _
from psycopg2 import errorcodes
from rest_framework.exceptions import APIException, ValidationError

from core_apps.api.exceptions import ConflictError, UnavailableError
from core_apps.operations.database import RETRY_AFTER

logger = logging.getLogger(__name__)

# Another request holds the row, or two requests wait for each other.
BUSY = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE}


def translate_database_error(error: Exception) -> APIException:
    code = getattr(error.__cause__, "pgcode", None)
    if code in BUSY:
        return ConflictError(
            _("Another request is changing the same data. Try again in a moment."), wait=1, code="busy"
        )
    if code == errorcodes.QUERY_CANCELED:
        logger.warning("An API query exceeded the statement timeout")
        text = _("The query took too long and was cancelled. Add a filter or use a longer search term.")
        return UnavailableError(text, wait=RETRY_AFTER)
    logger.error("Database error: %s", str(error).strip())
    text = _("The database is not available. Check whether your change was saved, then try again.")
    return UnavailableError(text, wait=RETRY_AFTER)


def translate_integrity_error(error: IntegrityError) -> APIException | None:
    """The error for a change between the check and the write; None if it is a bug."""
    code = getattr(error.__cause__, "pgcode", None)
    if code == errorcodes.FOREIGN_KEY_VIOLATION:
        return ConflictError(_("A related row has changed in the meantime. Read it again."))
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    constraint = get_constraints().get(name)
    if constraint is None:
        return None
    text = str(constraint.get_violation_error_message())
    return ConflictError(text) if code == errorcodes.UNIQUE_VIOLATION else ValidationError(text)


@cache
def get_constraints() -> dict[str | None, BaseConstraint]:
    return {constraint.name: constraint for model in apps.get_models() for constraint in model._meta.constraints}
