# ruff: noqa: DJ008 - of these models no row is shown

from types import SimpleNamespace

import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps

from core_apps.common.visibility import VisibleRows, VisibleToAll, check_admin, filter_visible


class OpenAdmin(VisibleRows, ModelAdmin):  # type: ignore[type-arg]
    pass


@pytest.fixture
def trade_fair():
    """Models of a sponsor without a rule and of a hall with one, and what the check says of them on an admin site."""
    with isolate_apps("core_apps.common"):

        class Hall(models.Model):
            objects = VisibleToAll.as_manager()

            class Meta:
                app_label = "common"

        class Sponsor(models.Model):
            hall = models.ForeignKey(Hall, models.CASCADE)

            class Meta:
                app_label = "common"

        class Booking(models.Model):
            sponsor = models.ForeignKey(Sponsor, models.CASCADE)
            objects = VisibleToAll.as_manager()

            class Meta:
                app_label = "common"

        def errors(model, model_admin):
            site = AdminSite("throwaway")
            site.register(model, model_admin)
            return {(error.id, error.obj.__name__) for error in check_admin() if error.obj in (Hall, Sponsor, Booking)}

        yield SimpleNamespace(Hall=Hall, Sponsor=Sponsor, Booking=Booking, errors=errors)


def test_model_without_a_rule_is_refused(trade_fair):
    assert trade_fair.errors(trade_fair.Sponsor, OpenAdmin) == {("visibility.E001", "Sponsor")}


def test_model_without_a_rule_is_refused_as_a_choice_too(trade_fair):
    assert trade_fair.errors(trade_fair.Booking, OpenAdmin) == {("visibility.E001", "Sponsor")}


def test_admin_that_does_not_ask_the_rule_is_refused(trade_fair):
    assert trade_fair.errors(trade_fair.Hall, ModelAdmin) == {("visibility.E002", "Hall")}


def test_model_with_a_rule_is_accepted(trade_fair):
    assert trade_fair.errors(trade_fair.Hall, OpenAdmin) == set()


def test_rows_without_a_rule_are_shown_to_nobody(trade_fair):
    with pytest.raises(ImproperlyConfigured, match=r"Sponsor has no visibility rule\..*visible_to"):
        filter_visible(trade_fair.Sponsor.objects.all(), user=None)


def test_models_of_django_need_no_rule():
    groups = Group.objects.all()

    assert filter_visible(groups, user=None) is groups
