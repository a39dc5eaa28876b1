from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, Permission, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken, AuthTokenManager

from core_apps.common.fields import FoldedEmailField
from core_apps.common.rest.scopes import Scope


class UserManager(BaseUserManager["User"]):
    """Makes users; the signatures are those that Django's createsuperuser calls."""

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
    """A member of the team; the e-mail address is the login name, whatever its case."""

    email = FoldedEmailField(_("e-mail"), unique=True, error_messages={"unique": _("A user with this e-mail exists.")})
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Clear this instead of deleting the user."))
    date_joined = models.DateTimeField(_("date joined"), default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

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

    def __str__(self) -> str:
        return self.name or self.email

    @cached_property
    def _perm_cache(self) -> set[str]:
        """The person's own and the groups' in one query; Django's backend keeps them by this name, and asks twice."""
        permissions = Permission.objects.filter(Q(user=self) | Q(group__user=self)).order_by()
        labelled = permissions.values_list("content_type__app_label", "codename").distinct()
        return {f"{label}.{codename}" for label, codename in labelled}

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self)


class ApiToken(AbstractAuthToken):  # type: ignore[misc]
    """What a program shows instead of a password; the database has its SHA-512 alone."""

    # Knox's key: it would stand in addresses, and in the log with them.
    digest = models.CharField(max_length=128, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="+")
    name = models.CharField(
        _("name"), max_length=100, help_text=_("Which program has it, so that you know what stops without it.")
    )
    scopes = ArrayField(
        models.CharField(max_length=10, choices=Scope),
        verbose_name=_("scopes"),
        help_text=_("What it may do at most; within this, your own rights hold."),
    )
    expiry = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    objects: ClassVar[Any] = AuthTokenManager()

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
