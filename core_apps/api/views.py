"""The view that each resource of the API is written on."""

import secrets
from collections.abc import Callable, Iterator
from http import HTTPStatus
from importlib import import_module
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django_filters import MultipleChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ModelViewSet

from core_apps.api import conditions, idempotency, pagination, parameters
from core_apps.api.access import RolePermission
from core_apps.api.refusals import Gone
from core_apps.api.serializers import narrow
from core_apps.api.throttles import refuse_too_many
from core_apps.big_lists.checks import check_sorting
from core_apps.big_lists.pagination import Ordering
from core_apps.cache.versioned_cache import answer, key_of
from core_apps.common.visibility import check_rule, visible_rows

FIELDS = "fields"
# Of the process, or of that which the workers were forked from: other code may show other fields of the same row.
STARTED = secrets.token_hex(8)


class StrictView(GenericAPIView[Any]):
    """For any view of the API: `model` names whose permissions it asks; `query_parameters`, what its address holds."""

    model: type[Model]
    query_parameters: ClassVar[frozenset[str]] = frozenset()
    permission_classes = (RolePermission,)

    def perform_authentication(self, request: Request) -> None:
        """Counts what it then refuses as well, which the framework's own throttles would not."""
        super().perform_authentication(request)
        refuse_too_many(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        is_handled = hasattr(self, str(request.method).lower())  # else the answer is 405, whatever is asked
        if is_handled and request.META.get("QUERY_STRING"):
            parameters.check(request, self.known_parameters(), self.repeatable_parameters())

    def known_parameters(self) -> frozenset[str]:
        return self.query_parameters

    def repeatable_parameters(self) -> frozenset[str]:
        return frozenset()


class ResourceViewSet(StrictView, ModelViewSet[Any]):
    """Rows of one model under their public ids; PATCH changes what is sent, and there is no PUT.

    The rules are the admin's: Django's permissions, and `visible_to(user)` of the model's queryset.
    """

    # What `?ordering=` offers by name, the first from the start; an index backs each, as in BigTableAdmin.
    list_sorting: ClassVar[dict[str, Ordering]]
    filterset_class: Any = None

    lookup_field = "public_id"
    lookup_value_converter = "uuid"  # of a router with use_regex_path=False
    http_method_names = ("get", "head", "post", "patch", "delete")
    filter_backends = (DjangoFilterBackend, pagination.Search)
    pagination_class = pagination.CursorPages

    def get_queryset(self) -> QuerySet[Any]:
        """The rows that the person sees."""
        return visible_rows(self.model._default_manager.all(), self.request.user)

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of one page, or one row, for subclasses to join what the serializer reads."""
        return rows

    def known_parameters(self) -> frozenset[str]:
        names = {*self.query_parameters, FIELDS}
        if self.action == "list":
            names |= {pagination.CURSOR, pagination.SIZE, pagination.ORDERING, *self.filters()}
            names |= {pagination.SEARCH} if pagination.is_searchable(self.model) else set()
        return frozenset(names)

    def repeatable_parameters(self) -> frozenset[str]:
        return frozenset(name for name, one in self.filters().items() if isinstance(one, MultipleChoiceFilter))

    def filters(self) -> dict[str, Any]:
        return self.filterset_class.base_filters if self.filterset_class else {}

    # Reads: each is bytes behind an ETag.

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return conditions.answer(request, self.remembered(self.listed))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return conditions.answer(request, self.remembered(self.retrieved))

    def remembered(self, compute: Callable[[], bytes]) -> bytes:
        """By the whole address, since the neighbours' are absolute; what was refused is not kept."""
        meta = self.request.META  # as it was sent: the host is known to be ours
        address = (
            self.request.scheme or "",
            meta.get("HTTP_HOST", ""),
            self.request.path,
            meta.get("QUERY_STRING", ""),
        )
        return answer(key_of("api", STARTED, self.scope(), *address), compute)

    def scope(self) -> str:
        """Of two people with the same scope each sees what the other does."""
        return f"user {self.request.user.pk}"

    def listed(self) -> bytes:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return conditions.tagged(rendered(self.paginator.body(self.represented(rows, many=True))))  # type: ignore[union-attr]

    def retrieved(self) -> bytes:
        return self.tagged(self.get_object())

    def get_object(self) -> Any:
        """The row of the address as it stands, with what `complete` adds. Raises Http404."""
        return get_object_or_404(self.complete(self.get_queryset()), public_id=self.kwargs[self.lookup_field])

    def tagged(self, row: Any) -> bytes:
        return conditions.tagged(rendered(self.represented(row)), row)

    def represented(self, rows: Any, *, many: bool = False) -> Any:
        """What the client asked to see of them. Raises ValidationError for an unknown field."""
        serializer: Any = self.get_serializer(rows, many=many)
        one = serializer.child if many else serializer
        narrow(one, parameters.words(self.request, FIELDS, one.fields))
        return serializer.data

    # Writes: each is one transaction, and ends with the row as a GET would show it.

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """201, also where the `Idempotency-Key` has been here: then with the row as it is now.

        Raises Gone where that row is gone, or out of the person's sight.
        """
        receipt = idempotency.receipt_for(request)
        if receipt and receipt.public_id:
            return self.replayed(receipt.public_id)
        serializer = self.checked(self.get_serializer(data=request.data))
        self.perform_create(serializer)
        row = self.written(serializer.instance)
        idempotency.keep(receipt, row.public_id)
        return self.created(row)

    @transaction.atomic
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        row = self.locked()
        serializer = self.checked(self.get_serializer(row, data=request.data, partial=True))
        if serializer.validated_data:
            self.perform_update(serializer)
        return conditions.answer(request, self.tagged(self.written(row)))

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        self.perform_destroy(self.locked())
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    def locked(self) -> Any:
        """The row, held until the transaction ends. Raises Http404, and Outdated by `If-Match`."""
        rows = self.get_queryset().select_for_update(of=("self",))
        row = get_object_or_404(rows, public_id=self.kwargs[self.lookup_field])
        conditions.refuse_outdated(self.request, row)
        return row

    def checked(self, serializer: Any) -> Any:
        """Raises ValidationError, for an unknown field of the answer too: nothing is written then."""
        parameters.words(self.request, FIELDS, serializer.fields)
        serializer.is_valid(raise_exception=True)
        return serializer

    def written(self, row: Any) -> Any:
        """The same row as it now is: the database fills in what Django did not, and its writer sees it all the same."""
        return self.complete(self.model._default_manager.all()).get(pk=row.pk)

    def created(self, row: Any) -> HttpResponse:
        response = conditions.answer(self.request, self.tagged(row), HTTPStatus.CREATED)
        response["Location"] = self.request.build_absolute_uri(f"{self.request.path}{row.public_id}/")
        return response

    def replayed(self, public_id: UUID) -> HttpResponse:
        row = self.complete(self.get_queryset()).filter(public_id=public_id).first()
        if row is None:
            raise Gone(_("What this Idempotency-Key made is not there any more, or not for you."))
        response = self.created(row)
        response[idempotency.REPLAYED] = "true"
        return response


def check_resources(**_options: Any) -> list[CheckMessage]:
    """A check of Django's: each resource says who sees its rows, and has an index for each order of its lists."""
    import_module(settings.ROOT_URLCONF)
    views = [view for view in subclasses(ResourceViewSet) if hasattr(view, "model")]
    found = [error for model in {view.model for view in views} for error in check_rule(model)]
    return found + [error for view in views for error in check_sorting(view.model, view.list_sorting, view.__name__)]


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for one in of.__subclasses__():
        yield from (one, *subclasses(one))


def rendered(data: Any) -> bytes:
    return JSONRenderer().render(data)
