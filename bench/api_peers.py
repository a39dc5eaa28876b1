"""The list of customers written with plain Django REST framework, and with django-ninja.

Both show the same fields of the same rows to whoever has the same token; neither has a
cache, a limit of requests, or ETags.
Served by `gunicorn bench.api_peers:application`, beside the product's own.
"""

import os
from datetime import datetime
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402 - models need the set-up
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import NinjaAPI, Schema  # noqa: E402
from ninja.security import APIKeyHeader  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.pagination import CursorPagination  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.serializers import CharField, ModelSerializer, SlugRelatedField, UUIDField  # noqa: E402

from config.urls import urlpatterns as own  # noqa: E402
from core_apps.accounts.models import ApiToken, token_digest  # noqa: E402
from customers.models import Customer  # noqa: E402

PAGE = 50
FIELDS = (
    *("given_name", "family_name", "email", "phone", "phone_e164", "job_title", "country", "stage", "source", "notes"),
    *("created_at", "updated_at"),
)


def customers() -> Any:
    rows = Customer.objects.select_related("company", "owner").prefetch_related("tags")
    return rows.order_by("-created_at", "-pk")


def get_user(header: str) -> Any:
    token = ApiToken.objects.select_related("user").filter(digest=token_digest(header.removeprefix("Token "))).first()
    return token and token.user


class PlainAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        user = get_user(request.headers.get("Authorization", ""))
        return user and (user, None)


class PlainPages(CursorPagination):
    page_size, ordering = PAGE, ("-created_at", "-pk")


class PlainSerializer(ModelSerializer[Any]):
    id = UUIDField(source="public_id")
    full_name = CharField()
    company: Any = SlugRelatedField(slug_field="public_id", read_only=True)
    company_name = CharField(source="company.name", default=None)
    owner: Any = SlugRelatedField(slug_field="email", read_only=True)
    tags: Any = SlugRelatedField(slug_field="name", many=True, read_only=True)

    class Meta:
        model = Customer
        fields = ("id", "full_name", "company", "company_name", "owner", "tags", *FIELDS)


class PlainList(ListAPIView[Any]):
    authentication_classes = (PlainAuthentication,)
    permission_classes = (IsAuthenticated,)
    serializer_class = PlainSerializer
    pagination_class = PlainPages

    def get_queryset(self) -> Any:
        return customers()


class NinjaCustomer(Schema):
    id: UUID
    full_name: str
    given_name: str
    family_name: str
    email: str
    phone: str
    phone_e164: str
    job_title: str
    country: str
    stage: str
    source: str
    notes: str
    company: UUID | None
    company_name: str | None
    owner: str | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime

    resolve_id = staticmethod(lambda row: row.public_id)
    resolve_country = staticmethod(lambda row: str(row.country))
    resolve_company = staticmethod(lambda row: row.company and row.company.public_id)
    resolve_company_name = staticmethod(lambda row: row.company and row.company.name)
    resolve_owner = staticmethod(lambda row: row.owner and row.owner.email)
    resolve_tags = staticmethod(lambda row: [tag.name for tag in row.tags.all()])


class NinjaToken(APIKeyHeader):
    param_name = "Authorization"

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        return get_user(key or "")


ninja = NinjaAPI(urls_namespace="bench", docs_url=None)


@ninja.get("/customers/", response=list[NinjaCustomer], auth=NinjaToken())
def ninja_list(request: HttpRequest) -> Any:
    return customers()[:PAGE]


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [
    *own,
    path("nothing/", nothing),
    path("drf/customers/", PlainList.as_view()),
    path("ninja/", ninja.urls),
]
settings.ROOT_URLCONF = "bench.api_peers"
application = get_wsgi_application()
