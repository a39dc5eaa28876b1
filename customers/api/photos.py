"""A customer's photo, at a URL below the customer's."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from core_apps.api import conditions, parameters
from core_apps.api.access import WRITE
from core_apps.api.exceptions import UnavailableError
from core_apps.api.views import StrictView
from core_apps.media.photos import RETRY_AFTER, Photo, PhotosBusyError, get_small_name, read_photo
from core_apps.media.responses import build_file_response
from customers.models import Customer

SIZE = "size"
SIZES = {"large": lambda name: name, "small": get_small_name}


class PhotoSerializer(serializers.Serializer[Any]):
    photo = serializers.FileField(
        help_text="JPEG up to 30 megapixels, PNG or WebP up to 16, each up to 10 MB; it is re-encoded."
    )

    def validate_photo(self, upload: Any) -> Photo:
        try:
            return read_photo(upload)
        except PhotosBusyError as error:
            raise UnavailableError(str(error.message), wait=RETRY_AFTER) from None


class JpegRenderer(JSONRenderer):
    """For clients that accept only images; errors are still rendered as JSON."""

    media_type = "image/jpeg"


class PhotoView(StrictView):
    """The stored photo: a JPEG of at most 1600 pixels per side, without the metadata of the uploaded file."""

    model = Customer
    parser_classes = (MultiPartParser,)
    renderer_classes = (JSONRenderer, JpegRenderer)
    serializer_class = PhotoSerializer
    query_parameters = frozenset({SIZE})
    permission_actions: ClassVar = {"GET": "view", "HEAD": "view", "PUT": "change", "DELETE": "change"}
    token_scopes: ClassVar = {"GET": "read", "HEAD": "read", "PUT": WRITE, "DELETE": WRITE}

    def customer(self, public_id: UUID, *, lock: bool = False) -> Customer:
        """Raises Http404."""
        customers = Customer.objects.visible_to(self.request.user)
        rows = customers.select_for_update(of=("self",)) if lock else customers
        return get_object_or_404(rows, public_id=public_id)

    @extend_schema(
        parameters=[OpenApiParameter(SIZE, enum=list(SIZES), description="small: at most 160 pixels per side.")],
        responses={
            (200, "image/jpeg"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="If photos are in a bucket: a link to it, valid for a minute."),
        },
    )
    def get(self, request: Request, public_id: UUID) -> HttpResponseBase:
        """Return the photo. Raises Http404 if there is none."""
        named = parameters.read_choice(request, SIZE, SIZES)
        customer = self.customer(public_id)
        if not customer.photo:
            raise Http404
        return build_file_response(request, named(customer.photo.name))

    @extend_schema(request={"multipart/form-data": PhotoSerializer}, responses={204: None})
    def put(self, request: Request, public_id: UUID) -> HttpResponse:
        """Replace the photo. Raises ValidationError if the file is not a valid photo, UnavailableError for too many."""
        # Without a lock, as re-encoding takes seconds; checked again when the photo is saved.
        conditions.check_if_match(request, self.customer(public_id))
        serializer = PhotoSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.save_photo(public_id, serializer.validated_data["photo"])
        return HttpResponse(status=204)

    @transaction.atomic
    def save_photo(self, public_id: UUID, photo: Photo | str) -> None:
        """Raises Http404, or OutdatedError by `If-Match`."""
        customer = self.customer(public_id, lock=True)
        conditions.check_if_match(self.request, customer)
        customer.photo = photo
        customer.save()

    @extend_schema(responses={204: None})
    def delete(self, request: Request, public_id: UUID) -> HttpResponse:
        self.save_photo(public_id, "")
        return HttpResponse(status=204)
