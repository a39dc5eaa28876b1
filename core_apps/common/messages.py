from typing import Any

from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest
from django.utils.functional import cached_property


class LazyFallbackStorage(FallbackStorage):
    """Django's, which makes its storages, and with them a signer, for every request; few requests have messages."""

    def __init__(self, request: HttpRequest) -> None:
        BaseStorage.__init__(self, request)
        self._used_storages: set[Any] = set()

    @cached_property
    def storages(self) -> list[BaseStorage]:
        return [storage(self.request) for storage in self.storage_classes]
