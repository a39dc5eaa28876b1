from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import forms
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.management import call_command
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext, override

from core_apps.accounts.models import User
from core_apps.tasks.kinds import task
from core_apps.tasks.mail import send_mail
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat

MINUTE = 60


class ResetMails(forms.PasswordResetForm):
    """Django's form finds the users and builds the links; its own `send_mail` hides failures."""

    task: Task

    def send_mail(self, subject: str, body: str, context: dict[str, Any], sender: Any, to: str, **_: Any) -> None:  # type: ignore[override]
        title = "".join(render_to_string(subject, context).splitlines())
        send_mail(EmailMultiAlternatives(title, render_to_string(body, context), sender, [to]), self.task)


# Somebody waits for it: before all others, and not after a day.
@task("accounts.password_reset", Queue.EMAILS, priority=0, delays=(5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE))
def send_password_reset(task: Task, *, email: str, language: str, host: str, https: bool) -> None:
    mails = ResetMails({"email": email})
    mails.task = task
    if mails.is_valid():
        with override(language):
            mails.save(domain_override=host, use_https=https)


@task("accounts.invitation", Queue.EMAILS, priority=0)
def send_invitation(task: Task, *, user: int, language: str) -> None:
    """Send a link for choosing the first password, unless the person has logged in meanwhile."""
    person = User.objects.filter(pk=user, is_active=True, last_login=None).first()
    if person is None:
        return
    identifier = urlsafe_base64_encode(force_bytes(person.pk))
    path = reverse("password_reset_confirm", args=[identifier, default_token_generator.make_token(person)])
    context = {"person": person, "site": settings.PROJECT_NAME, "url": settings.SITE_URL + path}
    with override(person.language or language):
        subject = gettext("Your account at %s") % settings.PROJECT_NAME
        text = render_to_string("accounts/invitation.txt", context)
    send_mail(EmailMessage(subject, text, None, [person.email]), task)


@task("accounts.delete_old_sessions", Queue.PROGRESS)
def delete_old_sessions(_task: Task) -> None:
    call_command("clearsessions")


repeat(delete_old_sessions, every=timedelta(days=1))
