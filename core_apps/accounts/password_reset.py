"""Password resets: a worker looks the user up and sends the mail.

So the response takes the same time whether or not there is such a user, and waits for no mail server.
"""

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth import forms, views
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from core_apps.accounts.background import send_password_reset
from core_apps.tasks.mail import DUMMY

logger = logging.getLogger(__name__)

MAX_WAITING = 100
RETRY_AFTER = 60  # seconds


class PasswordResetForm(forms.PasswordResetForm):
    def save(self, *, request: HttpRequest, use_https: bool, **_options: Any) -> None:  # type: ignore[override]
        send_password_reset.enqueue(
            email=self.cleaned_data["email"], language=get_language(), host=request.get_host(), https=use_https
        )


class PasswordResetView(views.PasswordResetView):
    form_class = PasswordResetForm

    def form_valid(self, form: Any) -> HttpResponse:
        if settings.EMAIL_BACKEND == DUMMY:
            form.add_error(None, _("This site cannot send e-mail. Please ask an administrator for a new password."))
            return self.form_invalid(form)
        if send_password_reset.count_open() < MAX_WAITING:
            return super().form_valid(form)
        logger.error("A password reset was refused: too many mails wait for the mail server")
        form.add_error("email", _("Too many e-mails are waiting to be sent. Try again in a minute."))
        response = self.form_invalid(form)
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response["Retry-After"] = str(RETRY_AFTER)
        return response
