"""Reads with a business name: a method reads after «customers that are …».

`visible_to` is the one place that says who sees which rows; admin, export and media ask it.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import TrigramSimilarity
from django.db import models
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.functions import Cast, Concat

from core_apps.common.folding import Folded, matching, words_of
from core_apps.common.planner import among, no_sequential_scan, planned_rows
from customers.scope import scope_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: F401 - as strings below

    Somebody: TypeAlias = User | AnonymousUser

EVERY = "customers.view_every_customer"  # the permission that lets a person see the rows of every exhibition
MOST_KEYS = 10_000  # of customers that a search of visits or follow-ups goes by
# How many times too high the planner's estimate may be for words that exclude each other.
MISLED = 10
SIMILAR = 0.5  # Jonas Brandt is 0.53 like Jon Brand, 0.56 like Jörg Brandt, 0.30 like Jonas Müller


def in_any(first: models.QuerySet[Any], *others: models.QuerySet[Any]) -> models.Q:
    """In one of the short lists, each found by an index of its own: an OR would look at every row."""
    keys, *more = [one.order_by().values("pk") for one in (first, *others)]
    return models.Q(pk__in=keys.union(*more, all=True))


def of_matching_customers(rows: Any, text: str) -> Any:
    """Visits or follow-ups: by the keys of the customers where these are few, else each row by its customer."""
    condition = matching(text)
    if not condition:
        return rows.none()
    customers = rows.model._meta.get_field("customer").related_model._default_manager.filter(condition)
    if planned_rows(customers) <= MOST_KEYS * (MISLED if len(words_of(text)) > 1 else 1):
        with no_sequential_scan():
            keys = list(customers.order_by().values_list("pk", flat=True)[: MOST_KEYS + 1])
        if len(keys) <= MOST_KEYS:
            return rows.filter(among("customer_id", keys)) if keys else rows.none()
    return rows.filter(matching(text, "customer__search_text"))


def likeness_to(name: str) -> TrigramSimilarity:
    """From 0 to 1: how many letter triples a full name has in common with this one, accents aside."""
    full_name = Concat("given_name", models.Value(" "), "family_name")
    return TrigramSimilarity(Folded(full_name), Folded(models.Value(name)))  # type: ignore[arg-type]


class CompanyQuerySet(models.QuerySet["Company"]):
    def matching(self, text: str) -> Self:
        """Those with each word of the text in their name or domain."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def opened_by(self, moment: datetime) -> Self:
        """Those whose first day has come at their place; the latest first."""
        return (
            self.alias(day=day_at_the_place(moment))
            .filter(starts_on__lte=models.F("day"))
            .order_by("-starts_on", "-pk")
        )

    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those at whose stand the person works."""
        return self if user.has_perm(EVERY) else self.filter(staff=user.pk)

    def open_at(self, moment: datetime) -> Self:
        return self.opened_by(moment).filter(ends_on__gte=models.F("day"))


def day_at_the_place(moment: datetime) -> Cast:
    """The moment's date in each exhibition's time zone."""
    local_time = models.Func(
        "time_zone", models.Value(moment), function="timezone", output_field=models.DateTimeField()
    )
    return Cast(local_time, models.DateField())


class CustomerQuerySet(models.QuerySet["Customer"]):
    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those that were met at the person's exhibitions or are looked after by that person."""
        if user.has_perm(EVERY):
            return self
        scope, visits = scope_of(user), self.model._meta.get_field("visits").related_model._default_manager
        there = visits.filter(exhibition__in=scope.exhibitions).order_by()
        met: Any = models.Exists(there.filter(customer=models.OuterRef("pk")))
        if not scope.has_many_customers:
            met = among("pk", ArraySubquery(there.values("customer")))
        return self.filter(models.Q(met) | models.Q(owner=user.pk))

    def matching(self, text: str) -> Self:
        """Those with each word of the text in their names, e-mail address, phone number or company."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()

    def current(self) -> Self:
        return self.filter(archived_at=None)

    def archived(self) -> Self:
        return self.exclude(archived_at=None)

    def active(self) -> Self:
        return self.current().exclude(stage="inactive")

    def unowned(self) -> Self:
        """Active customers that nobody looks after."""
        return self.active().filter(owner=None)

    def owned_by(self, user: "User") -> Self:
        return self.filter(owner=user)

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(models.Exists(exhibition.visits.filter(customer=models.OuterRef("pk"))))

    def resembling(self, customer: "Customer") -> Self:
        """Those with the same e-mail address, the same phone number, or a similar name at the same company."""
        customers = self.model._default_manager.exclude(pk=customer.pk)
        colleagues = customers.alias(likeness=likeness_to(customer.full_name)).filter(likeness__gte=SIMILAR)
        same = in_any(
            customers.filter(email=customer.email).exclude(email=""),
            customers.filter(phone_e164=customer.phone_e164).exclude(phone_e164=""),
            colleagues.filter(company=customer.company_id) if customer.company_id else customers.none(),
        )
        return self.filter(same)

    def tagged_with(self, tag: int) -> Self:
        """By the tag's key."""
        marks = self.model.tags.through.objects.filter(tag=tag, customer=models.OuterRef("pk"))
        return self.filter(models.Exists(marks))

    def with_history(self) -> Self:
        """Those whose deletion would take visits or follow-ups along."""
        own = self.model._default_manager.filter(pk=models.OuterRef("pk"))
        visited, followed_up = own.filter(visits__isnull=False), own.filter(follow_ups__isnull=False)
        return self.filter(models.Exists(visited) | models.Exists(followed_up))


def is_scope(condition: Any) -> bool:
    """At one of these exhibitions, as `visible_to` says it."""
    return isinstance(condition, RelatedIn) and condition.lhs.target.name == "exhibition"


class VisitQuerySet(models.QuerySet["Visit"]):
    reach = None  # to the end: `matching` has looked whether there are many
    exhibitions: tuple[int, ...] = ()
    """To which they were narrowed, where they were."""

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone.exhibitions = self.exhibitions
        return clone  # type: ignore[no-any-return]

    def parts(self) -> list[Self]:
        """Those of each exhibition, which an index has in their order; the visits of several lie far apart in time."""
        return [self.at_only(key) for key in self.exhibitions] or [self]

    def at_only(self, exhibition: int) -> Self:
        """Not also «at one of these»: the planner would multiply both and expect hardly any."""
        rows = self.filter(exhibition=exhibition)
        *conditions, at = rows.query.where.children
        rows.query.where.children = [*(one for one in conditions if not is_scope(one)), at]
        return rows

    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those at the person's exhibitions."""
        if user.has_perm(EVERY):
            return self
        exhibitions = scope_of(user).exhibitions
        visits = self.filter(exhibition__in=exhibitions)
        visits.exhibitions = exhibitions
        return visits

    def matching(self, text: str) -> Self:
        """Those of customers that match."""
        return of_matching_customers(self, text)  # type: ignore[no-any-return]

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    reach = None  # as of visits; and few are open

    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those that are the person's own or follow up a visit at the person's exhibitions."""
        if user.has_perm(EVERY):
            return self
        scope, visits = scope_of(user), self.model._meta.get_field("visit").related_model._default_manager
        there = visits.filter(exhibition__in=scope.exhibitions).order_by()
        of_visit: Any = models.Exists(there.filter(pk=models.OuterRef("visit")))
        if not scope.has_many_follow_ups:
            of_visit = among("visit_id", ArraySubquery(there.values("pk")))
        return self.filter(models.Q(of_visit) | models.Q(assignee=user.pk))

    def matching(self, text: str) -> Self:
        """Those of customers that match."""
        return of_matching_customers(self, text)  # type: ignore[no-any-return]

    def open(self) -> Self:
        return self.filter(completed_at=None)

    def completed(self) -> Self:
        return self.exclude(completed_at=None)

    def overdue_at(self, moment: datetime) -> Self:
        return self.open().filter(due_at__lt=moment)

    def assigned_to(self, user: "User") -> Self:
        return self.filter(assignee=user)

    def unassigned(self) -> Self:
        return self.open().filter(assignee=None)
