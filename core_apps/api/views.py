"""Base classes for the views of the API."""

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
from core_apps.api.access import RolePermission, may_read
from core_apps.api.exceptions import GoneError
from core_apps.api.serializers import keep_fields
from core_apps.api.throttles import throttle_request
from core_apps.big_lists.checks import check_sorting
from core_apps.big_lists.pagination import Ordering
from core_apps.cache.versioned_cache import build_key, get_or_compute
from core_apps.common.visibility import check_visibility_rule, filter_visible

FIELDS = "fields"
ID = "id"
# Part of the cache keys: other code may show other fields. Workers share the value of the process that forked them.
PROCESS_ID = secrets.token_hex(8)


class StrictView(GenericAPIView[Any]):
    """The base of all views: requires the permissions of `model`, and rejects unknown `query_parameters`."""

    model: type[Model]
    query_parameters: ClassVar[frozenset[str]] = frozenset()
    permission_classes = (RolePermission,)

    def perform_authentication(self, request: Request) -> None:
        """Throttles before the permission check, so that denied requests count as well."""
        super().perform_authentication(request)
        throttle_request(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        is_supported = hasattr(self, str(request.method).lower())  # else it is a 405
        if is_supported and request.META.get("QUERY_STRING"):
            parameters.check_parameters(request, self.get_known_parameters(), self.get_repeatable_parameters())

    def get_known_parameters(self) -> frozenset[str]:
        return self.query_parameters

    def get_repeatable_parameters(self) -> frozenset[str]:
        return frozenset()


class ResourceViewSet(StrictView, ModelViewSet[Any]):
    """CRUD for one model by public id, with PATCH and without PUT.

    As in the admin, Django's permissions and `visible_to(user)` of the model's queryset apply.
    """

    # The values of `?ordering=`, the default first; an index backs each, as in BigTableAdmin.
    list_sorting: ClassVar[dict[str, Ordering]]
    filterset_class: Any = None

    lookup_field = "public_id"
    lookup_value_converter = "uuid"  # of a router with use_regex_path=False
    http_method_names = ("get", "head", "post", "patch", "delete")
    filter_backends = (DjangoFilterBackend, pagination.Search)
    pagination_class = pagination.CursorPages

    def get_queryset(self) -> QuerySet[Any]:
        """The rows visible to the user."""
        return filter_visible(self.model._default_manager.all(), self.request.user)

    def load_related(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Override to join or prefetch what the serializer reads, for the rows of one page or one row."""
        return rows

    def get_known_parameters(self) -> frozenset[str]:
        names = {*self.query_parameters, FIELDS}
        if self.action == "list":
            names |= {pagination.CURSOR, pagination.SIZE, pagination.ORDERING, *self.filters()}
            names |= {pagination.SEARCH} if pagination.is_searchable(self.model) else set()
        return frozenset(names)

    def get_repeatable_parameters(self) -> frozenset[str]:
        return frozenset(name for name, one in self.filters().items() if isinstance(one, MultipleChoiceFilter))

    def filters(self) -> dict[str, Any]:
        return self.filterset_class.base_filters if self.filterset_class else {}

    # Reads: cached bytes with an ETag.

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return conditions.build_response(request, self.get_or_compute(self.render_list))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return conditions.build_response(request, self.get_or_compute(self.render_detail))

    def get_or_compute(self, compute: Callable[[], bytes]) -> bytes:
        """Keyed by the whole URL, because the links to other pages are absolute; errors are not cached."""
        meta = self.request.META  # the host has been validated
        address = (
            self.request.scheme or "",
            meta.get("HTTP_HOST", ""),
            self.request.path,
            meta.get("QUERY_STRING", ""),
        )
        return get_or_compute(build_key("api", PROCESS_ID, self.get_cache_group(), *address), compute)

    def get_cache_group(self) -> str:
        """Users in the same group see the same rows and share cached responses."""
        return f"user {self.request.user.pk}"

    def render_list(self) -> bytes:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return conditions.add_etag(render_json(self.paginator.body(self.serialize(rows, many=True))))  # type: ignore[union-attr]

    def render_detail(self) -> bytes:
        return self.render_row(self.get_object())

    def get_object(self) -> Any:
        """The row that the URL names, with what `load_related` adds. Raises Http404."""
        return get_object_or_404(self.load_related(self.get_queryset()), public_id=self.kwargs[self.lookup_field])

    def render_row(self, row: Any) -> bytes:
        return conditions.add_etag(render_json(self.serialize(row)), row)

    def serialize(self, rows: Any, *, many: bool = False) -> Any:
        """The fields that `?fields=` selects; of what a write-only token wrote, the id alone, so that it cannot read.

        Raises ValidationError for an unknown field.
        """
        serializer: Any = self.get_serializer(rows, many=many)
        one = serializer.child if many else serializer
        selected = parameters.read_list(self.request, FIELDS, one.fields)
        keep_fields(one, selected if may_read(self.request) else [ID])
        return serializer.data

    # Writes: each is one transaction, and returns the row as a GET would, where the token may read.

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """201, also for a repeated `Idempotency-Key`: then with the current state of the row.

        410 if that row no longer exists or is not visible to you.
        """
        receipt = idempotency.get_receipt(request)
        if receipt and receipt.public_id:
            return self.build_replay_response(receipt.public_id)
        serializer = self.validate(self.get_serializer(data=request.data))
        self.perform_create(serializer)
        row = self.reload(serializer.instance)
        idempotency.save_result(receipt, row.public_id)
        return self.build_created_response(row)

    @transaction.atomic
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        row = self.lock_object()
        serializer = self.validate(self.get_serializer(row, data=request.data, partial=True))
        if serializer.validated_data:
            self.perform_update(serializer)
        return conditions.build_response(request, self.render_row(self.reload(row)))

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        self.perform_destroy(self.lock_object())
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    def lock_object(self) -> Any:
        """The row, locked until the transaction ends. Raises Http404, or OutdatedError by `If-Match`."""
        rows = self.get_queryset().select_for_update(of=("self",))
        row = get_object_or_404(rows, public_id=self.kwargs[self.lookup_field])
        conditions.check_if_match(self.request, row)
        return row

    def validate(self, serializer: Any) -> Any:
        """Raises ValidationError, also for an unknown name in `?fields=`: nothing must be written then."""
        parameters.read_list(self.request, FIELDS, serializer.fields)
        serializer.is_valid(raise_exception=True)
        return serializer

    def reload(self, row: Any) -> Any:
        """The saved row with the values that the database has set, even if it is no longer visible to its author."""
        return self.load_related(self.model._default_manager.all()).get(pk=row.pk)

    def build_created_response(self, row: Any) -> HttpResponse:
        response = conditions.build_response(self.request, self.render_row(row), HTTPStatus.CREATED)
        response["Location"] = self.request.build_absolute_uri(f"{self.request.path}{row.public_id}/")
        return response

    def build_replay_response(self, public_id: UUID) -> HttpResponse:
        row = self.load_related(self.get_queryset()).filter(public_id=public_id).first()
        if row is None:
            raise GoneError(
                _("The resource created with this Idempotency-Key no longer exists or is not visible to you.")
            )
        response = self.build_created_response(row)
        response[idempotency.REPLAYED] = "true"
        return response


def check_resources(**_options: Any) -> list[CheckMessage]:
    """A Django system check: each model has a visibility rule, and each sort order an index."""
    import_module(settings.ROOT_URLCONF)
    views = [view for view in iter_subclasses(ResourceViewSet) if hasattr(view, "model")]
    errors = [error for model in {view.model for view in views} for error in check_visibility_rule(model)]
    return errors + [error for view in views for error in check_sorting(view.model, view.list_sorting, view.__name__)]


def iter_subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for one in of.__subclasses__():
        yield from (one, *iter_subclasses(one))


def render_json(data: Any) -> bytes:
    return JSONRenderer().render(data)
