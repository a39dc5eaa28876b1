"""The settings with the migration linter in them, which no server has installed."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS += ["django_migration_linter"]
