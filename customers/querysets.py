"""QuerySets with the business's own filters; read each method after “customers that are …”.

Only `visible_to` decides who sees which rows; admin, API, export and media call it.
"""

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.conf import settings
from django.contrib.postgres.search import TrigramSimilarity
from django.db import models
from django.db.models.functions import Concat

from core_apps.big_lists.search import Unaccent, matching
from core_apps.common.time_zones import get_zone
from core_apps.common.visibility import VisibleToAll

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: F401 - as strings below

    AnyUser: TypeAlias = User | AnonymousUser

VIEW_EVERY_CUSTOMER = "customers.view_every_customer"  # permission for the rows of every exhibition
ARCHIVE_CUSTOMER = "customers.archive_customer"
MAX_CANDIDATES = 100  # namesakes that are compared
MIN_SIMILARITY = 0.5  # Jonas Brandt is 0.53 like Jon Brand, 0.56 like Jörg Brandt, 0.30 like Jonas Müller


def in_union(first: models.QuerySet[Any], *others: models.QuerySet[Any]) -> models.Q:
    """Match rows of any of the QuerySets, as a UNION: each uses its own index, an OR would scan the table."""
    keys, *more = [one.order_by().values("pk") for one in (first, *others)]
    return models.Q(pk__in=keys.union(*more, all=True))


def has_customer_matching(text: str) -> models.Q:
    """Match visits or follow-ups whose customer matches the text."""
    from customers.models import Customer  # the model imports this module

    return models.Q(customer__in=Customer.objects.matching(text).order_by().values("pk"))


def visits_of_staff(user: "AnyUser") -> "models.QuerySet[Visit]":
    from customers.models import Visit

    return Visit.objects.filter(exhibition__staff=user.pk).order_by()


def sort_words(text: str) -> list[str]:
    return sorted(text.replace(",", " ").split())


def is_contacted() -> models.Exists:
    """Match visits after which somebody completed a follow-up of the customer, whichever visit it names.

    Not stored: of 391,000 visits, the indexes tell it in 0.1 s, and in 0.6 s at most, when everybody was contacted.
    """
    from customers.models import FollowUp

    contacts = FollowUp.objects.order_by().filter(customer=models.OuterRef("customer"))
    return models.Exists(contacts.filter(completed_at__gte=models.OuterRef("visited_at")))


def name_similarity(name: str) -> TrigramSimilarity:
    """Return the trigram similarity, 0 to 1, of a customer's full name and this name, ignoring accents."""
    full_name = Concat("given_name", models.Value(" "), "family_name")
    return TrigramSimilarity(Unaccent(full_name), Unaccent(models.Value(name)))  # type: ignore[arg-type]


# The extremes of local time, relative to UTC.
EASTERNMOST, WESTERNMOST = timedelta(hours=14), timedelta(hours=-12)


def is_between(first: date | None, end: date | None, zone: tzinfo, end_zone: tzinfo | None = None) -> models.Q:
    """Match visits from midnight to midnight of a time zone."""
    bounds = {}
    if first:
        bounds["visited_at__gte"] = datetime.combine(first, time(), zone)
    if end:
        bounds["visited_at__lt"] = datetime.combine(end, time(), end_zone or zone)
    return models.Q(**bounds)


class CompanyQuerySet(VisibleToAll["Company"]):
    def matching(self, text: str) -> Self:
        """Companies whose name or domain contains each word of the text."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def started_before(self, moment: datetime) -> Self:
        """Exhibitions whose first day has begun in the easternmost time zone."""
        return self.filter(starts_on__lte=(moment + EASTERNMOST).date())

    def visible_to(self, user: "AnyUser") -> Self:
        """All exhibitions, or those at whose stand the user works."""
        return self if user.has_perm(VIEW_EVERY_CUSTOMER) else self.filter(staff=user.pk)

    def open_at(self, moment: datetime) -> Self:
        """Exhibitions that take place on this day of their time zone. Not in SQL: PostgreSQL may lack a stored zone."""
        candidates = self.started_before(moment).filter(ends_on__gte=(moment + WESTERNMOST).date())
        return self.filter(pk__in=[one.pk for one in candidates if one.is_open_at(moment)])


class CustomerQuerySet(models.QuerySet["Customer"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All customers, or those met at the user's exhibitions or owned by the user."""
        if user.has_perm(VIEW_EVERY_CUSTOMER):
            return self
        met = visits_of_staff(user).values("customer")
        own = self.model._default_manager.filter(owner=user.pk).order_by().values("pk")
        return self.filter(pk__in=met.union(own, all=True))

    def matching(self, text: str) -> Self:
        """Customers whose names, e-mail address, phone number or company contain each word of the text."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()

    def current(self) -> Self:
        return self.filter(archived_at=None)

    def with_merge_fields(self) -> Self:
        return self.select_related("company", "owner")

    def archived(self) -> Self:
        return self.exclude(archived_at=None)

    def active(self) -> Self:
        return self.current().exclude(stage="inactive")

    def unowned(self) -> Self:
        """Active customers without an owner."""
        return self.active().filter(owner=None)

    def owned_by(self, user: "User") -> Self:
        return self.filter(owner=user)

    def met(self, visits: "VisitQuerySet") -> Self:
        """Customers with any of the visits."""
        return self.filter(models.Exists(visits.order_by().filter(customer=models.OuterRef("pk"))))

    def with_lead(self, user: "AnyUser") -> Self:
        """Prefetch the latest visit and the next follow-up visible to the user, as lists of at most one.

        Not in subqueries, which would ask for each row which follow-ups the user may see.
        """
        from customers.models import FollowUp, Visit

        visits = Visit.objects.visible_to(user).order_by("customer_id", "-visited_at", "-pk").distinct("customer_id")
        follow_ups = (
            FollowUp.objects.visible_to(user).open().order_by("customer_id", "due_at", "pk").distinct("customer_id")
        )
        return self.prefetch_related(
            models.Prefetch("visits", visits, "latest_visit"),
            models.Prefetch("follow_ups", follow_ups, "next_follow_up"),
        )

    def similar_to(self, customer: "Customer") -> Self:
        """Customers with the same e-mail address, the same phone number, or a similar name at the same company."""
        customers = self.model._default_manager.exclude(pk=customer.pk)
        namesakes = customers.alias(similarity=name_similarity(customer.full_name))
        namesakes = namesakes.filter(similarity__gte=MIN_SIMILARITY)
        similar = in_union(
            customers.filter(email=customer.email).exclude(email=""),
            customers.filter(phone_e164=customer.phone_e164).exclude(phone_e164=""),
            namesakes.filter(company=customer.company_id) if customer.company_id else customers.none(),
        )
        return self.filter(similar)

    def identified_by(self, text: str) -> Self:
        """Customers whose complete e-mail address, phone number, or name with company the text is."""
        from customers.models.phones import to_e164

        customers, number = self.model._default_manager.all(), to_e164(text, settings.PHONE_REGION)
        return self.filter(
            in_union(
                customers.filter(email=text.strip().lower()).exclude(email=""),
                customers.filter(phone_e164=number).exclude(phone_e164=""),
                customers.filter(pk__in=customers.find_named(text)),
            )
        )

    def find_named(self, text: str) -> list[int]:
        """The keys of customers whose given name, family name and company are the words of the text, in any order."""
        complete = self.exclude(given_name="").exclude(family_name="").exclude(company=None)
        name = Concat("given_name", models.Value(" "), "family_name", models.Value(" "), "company__name")
        rows = complete.matching(text).annotate(name=Unaccent(name), text=Unaccent(models.Value(text))).order_by()
        found = rows.values_list("pk", "name", "text")[:MAX_CANDIDATES]
        return [key for key, name, text in found if sort_words(name) == sort_words(text)]

    def tagged_with(self, tag: int) -> Self:
        """Customers with the tag of this primary key."""
        marks = self.model.tags.through.objects.filter(tag=tag, customer=models.OuterRef("pk"))
        return self.filter(models.Exists(marks))

    def with_history(self) -> Self:
        """Customers whose deletion would delete visits or follow-ups too."""
        own = self.model._default_manager.filter(pk=models.OuterRef("pk"))
        visited, followed_up = own.filter(visits__isnull=False), own.filter(follow_ups__isnull=False)
        return self.filter(models.Exists(visited) | models.Exists(followed_up))


class VisitQuerySet(models.QuerySet["Visit"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All visits, or those at the user's exhibitions."""
        return self if user.has_perm(VIEW_EVERY_CUSTOMER) else self.filter(exhibition__staff=user.pk)

    def matching(self, text: str) -> Self:
        """Visits of customers that match the text."""
        return self.filter(has_customer_matching(text))

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)

    def met_between(self, first: date | None, end: date | None) -> Self:
        """Visits from the first day to before the end, both in the time zone of their exhibition.

        A condition per zone in use, because PostgreSQL may lack a stored one; the outer bounds are for the index.
        """
        from customers.models import Exhibition

        names = Exhibition.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct()
        in_zones = [models.Q(exhibition__time_zone=name) & is_between(first, end, get_zone(name)) for name in names]
        outer = is_between(first, end, timezone(EASTERNMOST), timezone(WESTERNMOST))
        return self.filter(outer, models.Q(*in_zones, _connector=models.Q.OR))


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All follow-ups, or those assigned to the user or of a visit at the user's exhibitions."""
        if user.has_perm(VIEW_EVERY_CUSTOMER):
            return self
        rows = self.model._default_manager.order_by()
        of_visits = rows.filter(visit__exhibition__staff=user.pk).values("pk")
        return self.filter(pk__in=of_visits.union(rows.filter(assignee=user.pk).values("pk"), all=True))

    def matching(self, text: str) -> Self:
        """Follow-ups of customers that match the text."""
        return self.filter(has_customer_matching(text))

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
