"""What the database refused, in the API's terms."""

import logging
from functools import cache

from django.apps import apps
from django.db import IntegrityError
from django.db.models import BaseConstraint
from django.utils.translation import gettext as _
from psycopg2 import errorcodes
from rest_framework.exceptions import APIException, ValidationError

from core_apps.api.refusals import Conflict, Unavailable
from core_apps.operations.database import RETRY_AFTER

logger = logging.getLogger(__name__)

# A row that another request holds, and two requests of which each holds what the other wants.
BUSY = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE}


def problem_of_database(error: Exception) -> APIException:
    code = getattr(error.__cause__, "pgcode", None)
    if code in BUSY:
        return Conflict(_("Another request is changing the same: try again in a moment."), wait=1, code="busy")
    if code == errorcodes.QUERY_CANCELED:
        logger.warning("A statement of the API was ended for its time")
        text = _("This takes too long: narrow it by a filter, or by a longer word to search for.")
        return Unavailable(text, wait=RETRY_AFTER)
    logger.error("The database failed: %s", str(error).strip())
    text = _("The database does not answer at the moment. See whether your change is there, then try again.")
    return Unavailable(text, wait=RETRY_AFTER)


def problem_of_integrity(error: IntegrityError) -> APIException | None:
    """For what came between the check and the write; None where it is a fault of ours."""
    code = getattr(error.__cause__, "pgcode", None)
    if code == errorcodes.FOREIGN_KEY_VIOLATION:
        return Conflict(_("What this points to, or what points to this, has changed meanwhile: look again."))
    constraint = constraints().get(getattr(error.__cause__, "diag", None) and error.__cause__.diag.constraint_name)  # type: ignore[union-attr]
    if constraint is None:
        return None
    text = str(constraint.get_violation_error_message())
    return Conflict(text) if code == errorcodes.UNIQUE_VIOLATION else ValidationError(text)


@cache
def constraints() -> dict[str | None, BaseConstraint]:
    return {constraint.name: constraint for model in apps.get_models() for constraint in model._meta.constraints}
