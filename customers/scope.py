"""What a person without the right to see every customer may see, and whether that is much or little."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, QuerySet

from core_apps.common.planner import among

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Exhibition

# Of fewer visits and own rows the keys are collected; of more, rows are leafed through and each is asked.
MANY = 10_000


@dataclass(frozen=True)
class Scope:
    """The exhibitions at whose stands a person works, the latest first."""

    at: tuple["Exhibition", ...] = ()
    has_many_customers: bool = False
    has_many_follow_ups: bool = False

    @property
    def exhibitions(self) -> tuple[int, ...]:
        return tuple(exhibition.pk for exhibition in self.at)


def scope_of(user: "User | AnonymousUser") -> Scope:
    """Asked once for each person that is loaded, as permissions are."""
    if not hasattr(user, "scope"):
        user.scope = found_scope(user.pk) if user.pk else Scope()  # type: ignore[union-attr]
    return user.scope  # type: ignore[union-attr,no-any-return]


def found_scope(user: int) -> Scope:
    models = apps.get_app_config("customers").get_model
    exhibitions: Any = models("exhibition")._default_manager.filter(staff=user).order_by("-starts_on", "-pk")
    own = exhibitions.order_by().values("pk")
    at = exhibitions.annotate(
        met=capped(models("visit")._default_manager.filter(among("exhibition_id", ArraySubquery(own)))),
        owned=capped(models("customer")._default_manager.filter(owner=user)),
        assigned=capped(models("followup")._default_manager.filter(assignee=user)),
    )
    if not at:
        return Scope()
    counted = at[0]  # the same in each row
    return Scope(tuple(at), counted.met + counted.owned > MANY, counted.met + counted.assigned > MANY)


def capped(rows: QuerySet[Any]) -> Func:
    """Their number, counted no farther than MANY and one."""
    keys = ArraySubquery(rows.order_by().values("pk")[: MANY + 1])
    return Func(keys, function="cardinality", output_field=IntegerField())
