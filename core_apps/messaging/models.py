"""Messages to people outside of the team, and what allows them: consent, and that nobody has unsubscribed.

settings.MESSAGE_RECIPIENT_MODEL is the domain's model of a person. It has an `email`, a `phone_e164`, the values of
merge fields in `get_merge_fields()` and their names in MERGE_FIELDS. Its QuerySet has `visible_to(user)`, `current()`
for those who may get messages at all, and `with_merge_fields()`, which loads what these need.
"""

from itertools import product
from typing import Any, ClassVar, Self

from django.apps import apps
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import PublicModel, TimeStampedModel
from core_apps.common.visibility import VisibleToAll, filter_visible
from core_apps.messaging.merge import validate_fields


class Purpose(models.TextChoices):
    VISIT = "visit", _("Messages about a visit")
    NEWS = "news", _("News and offers")


class Channel(models.TextChoices):
    EMAIL = "email", _("E-mail")
    WHATSAPP = "whatsapp", "WhatsApp"

    @property
    def address_field(self) -> str:
        """The recipient's field with the address in this channel."""
        return "phone_e164" if self == Channel.WHATSAPP else "email"

    def get_address(self, recipient: Any) -> str:
        return str(getattr(recipient, self.address_field))


class WordingQuerySet(VisibleToAll["Wording"]):
    def choose(self, language: str) -> "list[Wording]":
        """The newest wording of each purpose and channel, in the language or, without one, in that of the site."""
        languages = [language, language.partition("-")[0], settings.LANGUAGE_CODE]
        rows = self.filter(language__in=languages)
        ordered = sorted(rows, key=lambda row: (-languages.index(row.language), row.version))
        newest = {(row.purpose, row.channel): row for row in ordered}  # the last one wins
        return [newest[one] for one in product(Purpose.values, Channel.values) if one in newest]


class Wording(PublicModel):
    """What people agree to. Never changed: a new version is a new row, so that each consent keeps what was read."""

    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.EMAIL)
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES)
    version = models.PositiveSmallIntegerField(_("version"), editable=False)
    text = models.TextField(_("text"), max_length=1000)

    objects: ClassVar[WordingQuerySet] = WordingQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("wording of a consent")
        verbose_name_plural = _("wordings of consents")
        constraints = (
            models.UniqueConstraint(fields=("purpose", "channel", "language", "version"), name="wording_version"),
        )

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} ({self.get_channel_display()}, {self.language}, {self.version})"

    def save(self, *args: Any, **options: Any) -> None:
        if self._state.adding:
            others = Wording.objects.filter(purpose=self.purpose, channel=self.channel, language=self.language)
            self.version = (others.aggregate(last=Max("version"))["last"] or 0) + 1
        super().save(*args, **options)


class OfRecipient(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        """Those of the people whom the user may see."""
        people = self.model._meta.get_field("recipient").related_model._default_manager.all()
        return self.filter(recipient__in=filter_visible(people, user).order_by().values("pk"))


class ConsentQuerySet(OfRecipient):
    def latest_of(self, recipient: Any, purpose: Any, channel: Any) -> Self:
        """The last word of the person on messages of this purpose in this channel; at most one row."""
        rows = self.filter(recipient=recipient, wording__purpose=purpose, wording__channel=channel)
        return rows.order_by("-at", "-pk")[:1]


class MessageQuerySet(OfRecipient):
    def advance(self, state: "Message.State", **values: Any) -> int:
        """Set the state of those that have not got further, and return their number."""
        earlier = self.filter(state__in=Message.ORDER[: Message.ORDER.index(state)])
        return earlier.update(**{"state": state, "finished_at": Now(), "updated_at": Now()} | values)


class Consent(TimeStampedModel):
    """Evidence that a person has agreed to a wording or withdrawn this. Never changed, only followed by another row."""

    class Method(models.TextChoices):
        FORM = "form", _("Capture form")
        WRITTEN = "written", _("In writing")
        SPOKEN = "spoken", _("Spoken")
        API = "api", _("API")

    recipient = models.ForeignKey(
        settings.MESSAGE_RECIPIENT_MODEL, models.CASCADE, verbose_name=_("recipient"), related_name="consents"
    )
    wording = models.ForeignKey(Wording, models.PROTECT, verbose_name=_("wording"), related_name="consents")
    given = models.BooleanField(_("given"), default=True, help_text=_("Clear this for a withdrawal."))
    method = models.CharField(_("method"), max_length=10, choices=Method)
    address = models.CharField(_("address at that time"), max_length=254, blank=True, editable=False)
    at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("recorded by"),
        null=True,
        editable=False,
        related_name="+",
    )

    objects: ClassVar[ConsentQuerySet] = ConsentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        indexes = (models.Index(fields=("-at", "-id"), name="consent_newest_first"),)

    def __str__(self) -> str:
        state = _("given") if self.given else _("withdrawn")
        return f"{self.wording.get_channel_display()}, {self.wording.get_purpose_display()}: {state}"

    def save(self, *args: Any, **options: Any) -> None:
        if self._state.adding:
            self.address = Channel(self.wording.channel).get_address(self.recipient)
        super().save(*args, **options)


class Suppression(models.Model):
    """An address that has unsubscribed from a purpose. Only a keyed hash, so that it may outlive the person's data."""

    digest = models.CharField(max_length=64)
    purpose = models.CharField(max_length=10, choices=Purpose)
    key = models.CharField(max_length=8)  # identifies the key of the hash
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint(fields=("digest", "purpose"), name="suppression_once"),)

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.digest}"


def validate_merge_fields(text: str) -> None:
    validate_fields(text, apps.get_model(settings.MESSAGE_RECIPIENT_MODEL).MERGE_FIELDS)


class Campaign(TimeStampedModel):
    """An e-mail to many people, a number of them each minute."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SENDING = "sending", _("Sending")
        PAUSED = "paused", _("Paused")
        STOPPED = "stopped", _("Stopped")
        DONE = "done", _("Done")

    subject = models.CharField(_("subject"), max_length=150, validators=[validate_merge_fields])
    text = models.TextField(
        _("text"),
        max_length=10_000,
        validators=[validate_merge_fields],
        help_text=_(
            "Fields: {given_name}, {family_name}, {company}, {seller}. A word for people without one: "
            "{given_name|visitor}."
        ),
    )
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default="en", help_text=_("Of the text.")
    )
    per_minute = models.PositiveSmallIntegerField(
        _("e-mails per minute"), default=60, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("owner"),
        null=True,
        editable=False,
        related_name="+",
    )
    recipients: Any = models.ManyToManyField(
        settings.MESSAGE_RECIPIENT_MODEL, verbose_name=_("recipients"), editable=False, related_name="+"
    )

    objects: ClassVar[VisibleToAll["Campaign"]] = VisibleToAll.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        indexes = (models.Index(fields=("-created_at", "-id"), name="campaign_newest_first"),)

    def __str__(self) -> str:
        return self.subject or str(self.State.DRAFT.label)


class Message(TimeStampedModel):
    """A message to one person: why, what exactly, and what became of it."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENDING = "sending", _("Sending")
        UNKNOWN = "unknown", _("Unknown")  # it may have been sent
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        DELIVERED = "delivered", _("Delivered")
        READ = "read", _("Read")
        REFUSED = "refused", _("Not allowed")

    # A later one may come first, and an earlier one does not replace it.
    ORDER = (State.QUEUED, State.SENDING, State.UNKNOWN, State.SENT, State.FAILED, State.DELIVERED, State.READ)
    DONE = (State.SENT, State.DELIVERED, State.READ, State.REFUSED)  # not sent (again)

    recipient = models.ForeignKey(
        settings.MESSAGE_RECIPIENT_MODEL, models.CASCADE, verbose_name=_("recipient"), related_name="messages"
    )
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose)
    campaign = models.ForeignKey(
        Campaign, models.PROTECT, verbose_name=_("campaign"), null=True, db_index=False, related_name="messages"
    )
    # One message for one visit, whatever is repeated.
    key = models.CharField(_("key"), max_length=100, unique=True)
    channel = models.CharField(
        _("channel"), max_length=10, choices=Channel, default=Channel.EMAIL, db_default=Channel.EMAIL
    )
    language = models.CharField(_("language"), max_length=10)
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"))
    vcard = models.TextField(_("attached vCard"), blank=True)
    # WhatsApp allows the text only to who has written within 24 hours; otherwise this, with a parameter in each line.
    template = models.CharField(_("template"), max_length=512, blank=True, default="", db_default="")
    parameters = models.TextField(_("parameters of the template"), blank=True, default="", db_default="")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    error = models.TextField(_("error"), blank=True)
    # Set when it is sent: the address of the person at that time, and the consent that is the legal basis.
    address = models.CharField(_("address"), max_length=254, blank=True)
    consent = models.ForeignKey(Consent, models.SET_NULL, verbose_name=_("consent"), null=True, related_name="messages")
    provider_id = models.CharField(_("id of the provider"), max_length=200, blank=True, default="", db_default="")
    sending_at = models.DateTimeField(_("first tried"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # As WhatsApp reports them, which may leave out the former.
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    read_at = models.DateTimeField(_("read"), null=True)

    objects: ClassVar[MessageQuerySet] = MessageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = (
            models.Index(fields=("-created_at", "-id"), name="message_newest_first"),
            models.Index(fields=("campaign", "recipient"), name="message_by_campaign", condition=~Q(campaign=None)),
        )

    def __str__(self) -> str:
        return self.subject


class Reply(models.Model):
    """What a person wrote to us by WhatsApp; for 24 hours, it allows an answer without a template."""

    recipient = models.ForeignKey(settings.MESSAGE_RECIPIENT_MODEL, models.CASCADE, related_name="replies")
    address = models.CharField(max_length=16)
    provider_id = models.CharField(max_length=200)
    text = models.TextField()
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("recipient", "provider_id"), name="reply_once"),)

    def __str__(self) -> str:
        return self.text
