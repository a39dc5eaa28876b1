"""What a person without the right to see every customer may see, and whether that is much or little."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, OuterRef, QuerySet

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
    at = exhibitions.annotate(
        visits_counted=capped(models("visit")._default_manager.filter(exhibition=OuterRef("pk"))),
        owned=capped(models("customer")._default_manager.filter(owner=user)),
        assigned=capped(models("followup")._default_manager.filter(assignee=user)),
    )
    visits = sum(one.visits_counted for one in at)
    owned, assigned = max((one.owned for one in at), default=0), max((one.assigned for one in at), default=0)
    return Scope(tuple(at), visits + owned > MANY, visits + assigned > MANY)


def capped(rows: QuerySet[Any]) -> Func:
    """Their number, counted no farther than MANY and one."""
    keys = ArraySubquery(rows.order_by().values("pk")[: MANY + 1])
    return Func(keys, function="cardinality", output_field=IntegerField())
