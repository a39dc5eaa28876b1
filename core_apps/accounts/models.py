import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, Permission, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.scopes import Scope
from core_apps.common.fields import LowercaseEmailField
from core_apps.common.time_zones import TimeZoneField
from core_apps.common.visibility import VisibleToAll


class UserManager(BaseUserManager["User"]):
    """A manager with the signatures that createsuperuser needs."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True} | fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A member of the team, who logs in by e-mail address, regardless of case."""

    email = LowercaseEmailField(
        _("e-mail"), unique=True, error_messages={"unique": _("A user with this e-mail already exists.")}
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_staff = models.BooleanField(_("can use the admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Clear this instead of deleting the user."))
    time_zone = TimeZoneField(
        _("time zone"), blank=True, db_default="", default="", help_text=_("Blank for the time zone of the team.")
    )
    language = models.CharField(
        _("language of e-mails"), max_length=10, choices=settings.LANGUAGES, blank=True, db_default="", default=""
    )
    daily_digest = models.BooleanField(
        _("daily e-mail"),
        db_default=True,
        default=True,
        help_text=_("At seven in the morning: follow-ups that are due, overdue or unassigned."),
    )
    date_joined = models.DateTimeField(_("date joined"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager.from_queryset(VisibleToAll)()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ("email",)
        constraints = (
            models.CheckConstraint(name="user_email_lower_case", condition=Q(email=Lower(F("email")))),
            models.CheckConstraint(name="user_email_not_blank", condition=~Q(email="")),
        )
        permissions = (("require_two_factor", _("Must use two-factor authentication")),)

    def __str__(self) -> str:
        return self.name or self.email

    @cached_property
    def _perm_cache(self) -> set[str]:
        """User and group permissions in one query. Django's backend, which runs two, caches them by this name."""
        permissions = Permission.objects.filter(Q(user=self) | Q(group__user=self)).order_by()
        labelled = permissions.values_list("content_type__app_label", "codename").distinct()
        return {f"{label}.{codename}" for label, codename in labelled}

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: "User") -> Self:
        """The user's own tokens, or all for users who can change users."""
        return self if user.has_perm("accounts.change_user") else self.filter(user=user.pk)


class ApiTokenManager(models.Manager["ApiToken"]):
    def create_token(self, user: User, lifetime: timedelta, **fields: Any) -> tuple["ApiToken", str]:
        """The row and the plain token, which is not stored."""
        token = self.model(user=user, expiry=timezone.now() + lifetime, **fields)
        plain = token.set_token()
        token.save(using=self._db)
        return token, plain


class ApiToken(models.Model):
    """A token for programs; only its SHA-512 is stored."""

    PREFIX_LENGTH = 6

    digest = models.CharField(max_length=128, unique=True, editable=False)
    prefix = models.CharField(_("begins with"), max_length=PREFIX_LENGTH, editable=False)
    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="+")
    name = models.CharField(_("name"), max_length=100, help_text=_("The program that uses the token."))
    scopes = ArrayField(
        models.CharField(max_length=10, choices=Scope),
        verbose_name=_("scopes"),
        help_text=_("What the token allows, within your own permissions."),
    )
    created = models.DateTimeField(auto_now_add=True)
    expiry = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    objects: ClassVar[ApiTokenManager] = ApiTokenManager.from_queryset(ApiTokenQuerySet)()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created", "-pk")
        constraints = (
            models.CheckConstraint(name="api_token_name_not_blank", condition=~Q(name="")),
            models.CheckConstraint(
                name="api_token_scopes_known",
                condition=Q(scopes__len__gte=1, scopes__contained_by=["read", "write", "delete", "capture"]),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def set_token(self) -> str:
        """Generates a token, sets its digest, and returns it."""
        plain = secrets.token_hex(32)
        self.digest, self.prefix = token_digest(plain), plain[: self.PREFIX_LENGTH]
        return plain


def token_digest(plain: str) -> str:
    """Needs neither salt nor a slow hash: a token is 256 random bits."""
    return hashlib.sha512(plain.encode()).hexdigest()


class PasswordGuesses(models.Model):
    """The times of recent failed guesses; core_apps/accounts/guesses.py says which accounts share a counter."""

    counter = models.PositiveIntegerField(primary_key=True)
    times = ArrayField(models.DateTimeField(), default=list)

    def __str__(self) -> str:
        return str(self.counter)
