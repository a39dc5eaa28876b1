"""Uploaded files, for those who may see the row they belong to."""

from django.contrib.auth.decorators import login_required, permission_required
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404

from customers.models import Customer


@login_required
@permission_required("customers.view_customer", raise_exception=True)
def media(request: HttpRequest, name: str) -> FileResponse:
    """The photo of that name. Names come from the database alone, so no path leads out of MEDIA_ROOT."""
    customer = get_object_or_404(Customer, photo=name)
    try:
        return FileResponse(customer.photo.open("rb"))
    except FileNotFoundError:
        raise Http404(f"The file {name} is gone.") from None
