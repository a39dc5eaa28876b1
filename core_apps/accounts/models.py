from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, Permission, PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import FoldedEmailField


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
