"""The form for a phone at the stand, and the two addresses that it talks to."""

import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, Visit
from customers.services.capturing import Entry, capture_visit, has_arrived

HITS = 8  # as many as a thumb reaches
SIZE = 100_000  # bytes; a note has 10,000 characters at most
View = Callable[[HttpRequest], HttpResponse]


class EntryForm(forms.Form):
    """What of an entry is wrong before any rule of the models is asked."""

    client_uuid = forms.UUIDField()
    visited_at = forms.DateTimeField()
    exhibition: Any = forms.ModelChoiceField(Exhibition.objects.none())
    customer: Any = forms.ModelChoiceField(Customer.objects.none(), to_field_name="public_id", required=False)
    given_name = forms.CharField(required=False)
    family_name = forms.CharField(required=False)
    company = forms.CharField(required=False, max_length=200)
    email = forms.CharField(required=False)
    phone = forms.CharField(required=False)
    grade = forms.ChoiceField(choices=[("", ""), *Visit.Grade.choices], required=False)
    interests = forms.CharField(required=False, max_length=1000)
    note = forms.CharField(required=False, validators=[MaxLengthValidator(10_000)])

    def __init__(self, data: dict[str, str], user: User) -> None:
        super().__init__(data)
        self.fields["exhibition"].queryset = Exhibition.objects.visible_to(user)  # type: ignore[attr-defined]
        self.fields["customer"].queryset = Customer.objects.visible_to(user)  # type: ignore[attr-defined]

    def entry(self) -> Entry:
        values = self.cleaned_data
        person = ("given_name", "family_name", "email", "phone")
        interests = (word.strip() for word in values["interests"].split(","))
        kept = ("client_uuid", "visited_at", "exhibition", "company", "grade", "note")
        return Entry(
            **{name: values[name] for name in kept},
            customer=values["customer"] or Customer(**{name: values[name] for name in person}),
            interests=tuple(filter(None, interests)),
        )


def for_team(permission: str) -> Callable[[View], View]:
    """Answers a script, not a browser: who is logged out gets 401 and no page to log in."""

    def decorate(view: View) -> View:
        @never_cache
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if not (request.user.is_active and request.user.is_staff):
                return refusal(HTTPStatus.UNAUTHORIZED, _("You are logged out."))
            if not request.user.has_perm(permission):
                return refusal(HTTPStatus.FORBIDDEN, _("You have no right to do this. Ask an administrator."))
            return view(request)

        return answer

    return decorate


def refusal(status: HTTPStatus, reason: str, errors: dict[str, list[str]] | None = None) -> JsonResponse:
    return JsonResponse({"reason": reason, "errors": errors or {}}, status=status)


@permission_required("customers.add_visit", raise_exception=True)
def form(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    exhibitions = Exhibition.objects.visible_to(request.user)
    context = {
        "title": _("Capture a visit"),
        "exhibitions": exhibitions.opened_by(now)[:10],
        "open": exhibitions.open_at(now).first(),
        "grades": Visit.Grade.choices,
        "has_permission": True,
    }
    return render(request, "customers/capture.html", context)


@require_GET
@for_team("customers.view_customer")
def find_customers(request: HttpRequest) -> HttpResponse:
    found = Customer.objects.visible_to(request.user).current().matching(request.GET.get("q", "")[:200])
    hits = found.select_related("company")[:HITS]
    return JsonResponse({"customers": [hit(customer) for customer in hits]})


def hit(customer: Customer) -> dict[str, str]:
    more = (customer.job_title, customer.company.name if customer.company else "")
    return {"id": str(customer.public_id), "name": str(customer), "more": ", ".join(filter(None, more))}


@require_POST
@for_team("customers.add_visit")
def receive(request: HttpRequest) -> HttpResponse:
    """An entry as JSON: 201 when it is recorded, 200 when it was before, 400 with the reasons by field.

    409 where it is another person's, who has to send it.
    """
    try:
        data = entry_data(request)
    except ValueError:
        return refusal(HTTPStatus.BAD_REQUEST, _("This is no entry."))
    if data.get("person") != str(request.user.pk):
        return refusal(HTTPStatus.CONFLICT, _("You are logged in as another person."))
    checked = EntryForm(data, request.user)  # type: ignore[arg-type]
    try:
        is_new = record(checked, request.user)  # type: ignore[arg-type]
    except ValidationError as error:
        return invalid(error)
    except PermissionDenied as error:
        return refusal(HTTPStatus.FORBIDDEN, str(error))
    return JsonResponse({}, status=HTTPStatus.CREATED if is_new else HTTPStatus.OK)


def record(checked: EntryForm, user: User) -> bool:
    """Raises ValidationError; not for what had arrived before its exhibition, say, was another team's."""
    if checked.is_valid():
        return capture_visit(checked.entry(), by=user)
    client_uuid = checked.cleaned_data.get("client_uuid")
    if client_uuid and has_arrived(client_uuid, by=user):
        return False
    raise ValidationError(checked.errors.as_data())


def entry_data(request: HttpRequest) -> dict[str, str]:
    """Raises ValueError for what is no object of texts."""
    if len(request.body) > SIZE:
        raise ValueError("too long")
    data = json.loads(request.body)
    if not (isinstance(data, dict) and all(isinstance(value, str) for value in data.values())):
        raise ValueError("no object of texts")
    for value in data.values():
        value.encode()  # JSON may hold half a character, which the database refuses
    return data


def invalid(error: ValidationError) -> JsonResponse:
    return refusal(HTTPStatus.BAD_REQUEST, _("Please correct the entry."), error.message_dict)
