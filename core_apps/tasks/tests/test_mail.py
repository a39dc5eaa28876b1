from django.core.mail import EmailMessage

from core_apps.tasks.mail import send_mail
from core_apps.tasks.models import Task


def test_mail_is_redirected(settings, mailoutbox):
    settings.EMAIL_REDIRECT_TO = "staging@example.com"
    message = EmailMessage("Hello", to=["ann@example.com"], cc=["bob@example.com"], bcc=["cy@example.com"])

    send_mail(message, Task())

    (sent,) = mailoutbox
    assert sent.recipients() == ["staging@example.com"]
    assert sent.message()["To"] == "staging@example.com"
    assert sent.message()["X-Original-To"] == "ann@example.com, bob@example.com, cy@example.com"
    assert sent.message()["Cc"] is None
