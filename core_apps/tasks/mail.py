"""Sends the e-mail of a task."""

import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr

from anymail.exceptions import AnymailError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from core_apps.tasks.kinds import RejectError, RetryError
from core_apps.tasks.models import Task

DUMMY = "django.core.mail.backends.dummy.EmailBackend"
# The key of the API is wrong, or there were too many requests.
TRANSIENT = (401, 403, 408, 429)
_shared = threading.local()


@contextmanager
def share_connection() -> Iterator[None]:
    """Send the mails of this thread on one connection: a new one costs more than a mail, most of all with TLS."""
    _shared.connection = get_connection()
    try:
        yield
    finally:
        with suppress(OSError):
            _shared.connection.close()
        del _shared.connection


def send_mail(message: EmailMessage, task: Task) -> str:
    """Return the id that the provider gave it; blank for a mail server.

    It has the same Message-ID at each attempt, by which mail programs recognise a repeated message.
    Raises RejectError for what the mail server will never accept, and RetryError for everything else.
    """
    if settings.EMAIL_BACKEND == DUMMY:
        raise RejectError("The site cannot send e-mail: EMAIL_HOST is not set.")
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    message.extra_headers["Message-ID"] = f"<{task.pk}@{domain}>"
    if settings.EMAIL_REDIRECT_TO:
        redirect(message)
    message.connection = shared = getattr(_shared, "connection", None)
    try:
        if shared:
            shared.open()  # else Django would close it after the mail
        message.send()
    except (OSError, AnymailError) as error:  # SMTPException and requests' exceptions are OSErrors
        if shared:
            _shared.connection = get_connection()
        raise build_error(error) from error
    status = getattr(message, "anymail_status", None)
    return str(status.message_id) if status else ""


def redirect(message: EmailMessage) -> None:
    """Send it to EMAIL_REDIRECT_TO alone; X-Original-To has the addresses that it was for."""
    message.extra_headers["X-Original-To"] = ", ".join(message.recipients())
    message.to, message.cc, message.bcc = [settings.EMAIL_REDIRECT_TO], [], []


def build_error(error: OSError | AnymailError) -> RejectError | RetryError:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return RetryError("The mail server refused EMAIL_HOST_USER or EMAIL_HOST_PASSWORD.")
    reason = f"{type(error).__name__}: {error}"
    return RejectError(reason) if is_permanent(error) else RetryError(reason)


def is_permanent(error: Exception) -> bool:
    """Whether all replies of the mail server have a code of 500 or more (RFC 5321, section 4.2.1).

    A provider's API tells by its HTTP status.
    """
    if isinstance(error, AnymailRecipientsRefused):
        return True
    if isinstance(error, AnymailError):
        return 400 <= (error.status_code or 0) < 500 and error.status_code not in TRANSIENT
    codes = [getattr(error, "smtp_code", 0)]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    return min(codes) >= 500
