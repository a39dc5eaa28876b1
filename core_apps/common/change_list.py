from contextlib import suppress
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from django.http import HttpRequest


class StrictChangeList(ChangeList):
    def get_filters(self, request: HttpRequest) -> Any:
        """Raises IncorrectLookupParameters for NUL, which PostgreSQL cannot search for."""
        if any("\0" in value for values in self.get_filters_params().values() for value in values):
            raise IncorrectLookupParameters
        return super().get_filters(request)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Raises IncorrectLookupParameters for a value such as the year -1, which Django notices only in the query."""
        queryset: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        if not self.get_filters_params():
            return queryset
        try:
            with suppress(EmptyResultSet):
                queryset.query.sql_with_params()
        except ValueError as error:
            raise IncorrectLookupParameters from error
        return queryset
