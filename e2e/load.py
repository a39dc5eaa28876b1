"""Bounded load on a tier; records every response."""

import http.client
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from e2e.site import Answer, Site, ask


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    expected: int  # status
    headers: dict[str, str] = field(default_factory=dict)
    body: str | bytes | None = None


@dataclass(frozen=True)
class Sample:
    request: Request
    start: float  # seconds, on the clock that containers share
    end: float
    answer: Answer | None  # None where the connection broke

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def failed(self) -> bool:
        return self.answer is None or self.answer.status != self.request.expected


class Load:
    """The requests in turn, `rate` a second, from so many clients at most; ends with the block, or after `count`.

    A request that must differ each time is made from its number.
    """

    def __init__(
        self,
        door: int | Site,
        requests: Sequence[Request | Callable[[int], Request]],
        rate: int,
        *,
        count: int | None = None,
        clients: int = 12,
    ) -> None:
        self.door, self.requests, self.rate, self.count = door, requests, rate, count
        self.samples: list[Sample] = []
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._send) for _ in range(clients)]

    def __enter__(self) -> Self:
        self._start = time.time()
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.count is None:
            self._stop.set()
        for client in self._clients:
            client.join()

    def _send(self) -> None:
        # One counter for all: each number is one request, due at its own time.
        for number in self._numbers:
            due = self._start + number / self.rate
            if number >= (self.count or math.inf) or self._stop.wait(due - time.time()):
                return
            request = self.requests[number % len(self.requests)]
            self.samples.append(send(self.door, request if isinstance(request, Request) else request(number)))

    @property
    def is_running(self) -> bool:
        return any(client.is_alive() for client in self._clients)

    @property
    def failures(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.failed]

    def in_flight(self, moment: float) -> list[Sample]:
        return [sample for sample in self.samples if sample.start <= moment <= sample.end]

    @property
    def p95(self) -> float:
        seconds = sorted(sample.seconds for sample in self.samples)
        return seconds[int(0.95 * len(seconds))]

    def report(self) -> str:
        seconds = sorted(sample.seconds for sample in self.samples)
        p50, p99 = (1000 * seconds[int(share * len(seconds))] for share in (0.5, 0.99))
        achieved = len(self.samples) / (max(sample.end for sample in self.samples) - self._start)
        return (
            f"{len(self.samples)} requests at {achieved:.0f}/s, {len(self.failures)} failed,"
            f" p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {1000 * seconds[-1]:.0f} ms"
        )


def send(door: int | Site, request: Request) -> Sample:
    start = time.time()
    try:
        answer = ask(door, request.method, request.path, request.headers, request.body)
    except (OSError, http.client.HTTPException):
        answer = None
    return Sample(request, start, time.time(), answer)
