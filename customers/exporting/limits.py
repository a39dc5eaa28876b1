"""Few exports at a time, because each holds a thread for as long as its client reads.

PostgreSQL releases advisory locks with their connection, so a killed process leaves none.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection

MAX_EXPORTS = 4  # of all users and processes
SLOT, USER = 7_201, 7_202  # first keys of the advisory locks


class TooManyExportsError(Exception):
    """`is_own` if it is the same user whose export still runs."""

    def __init__(self, *, is_own: bool) -> None:
        super().__init__()
        self.is_own = is_own


class ExportPlace:
    """One of the MAX_EXPORTS, and the only one of the user. Raises TooManyExportsError if there is none."""

    def __init__(self, user_id: int) -> None:
        self.locks: list[tuple[int, int]] = []
        if not self.lock(USER, user_id):
            raise TooManyExportsError(is_own=True)
        if not any(self.lock(SLOT, number) for number in range(MAX_EXPORTS)):
            self.release()
            raise TooManyExportsError(is_own=False)

    def lock(self, key: int, number: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (key, number))
            is_locked: bool = cursor.fetchone()[0]
        if is_locked:
            self.locks.append((key, number))
        return is_locked

    def release(self) -> None:
        with connection.cursor() as cursor:
            while self.locks:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", self.locks.pop())


class LimitedContent:
    """The content of a StreamingHttpResponse, whose end releases the place, even if nothing was read."""

    def __init__(self, content: Any, place: ExportPlace) -> None:
        self.content, self.place = content, place

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.content)

    def close(self) -> None:
        try:
            self.content.close()
        finally:
            self.place.release()
