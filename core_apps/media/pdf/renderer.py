"""Renders HTML as PDF in a child process, which is killed if a document takes too long."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Timer
from typing import Any

from django.utils.translation import gettext as _

from core_apps.media.pdf import rendering

PROGRAM = rendering.__file__
MAX_SECONDS = 20  # of one document; usual are 0.1


class RenderingError(Exception):
    """The document could not be rendered; the message is for the person who waits for it."""


@contextmanager
def start_renderer() -> Iterator[Callable[[str], bytes]]:
    """Yield a function that renders a document; it raises RenderingError. The process starts once for all of them."""
    # Without the environment, whose secrets are not for a process that a document may take over.
    command = [sys.executable, "-I", PROGRAM]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
    try:
        yield partial(render, process)
    finally:
        process.kill()
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]


def render(process: "subprocess.Popen[bytes]", html: str) -> bytes:
    timer = Timer(MAX_SECONDS, process.kill)
    timer.start()
    try:
        return exchange(process.stdin, process.stdout, html.encode())
    except (BrokenPipeError, EOFError):
        raise RenderingError(explain(process.wait())) from None
    finally:
        timer.cancel()


def exchange(requests: Any, responses: Any, document: bytes) -> bytes:
    requests.write(rendering.LENGTH.pack(len(document)) + document)
    requests.flush()
    head = responses.read(rendering.LENGTH.size)
    if not head:
        raise EOFError
    content: bytes = responses.read(*rendering.LENGTH.unpack(head))
    return content


def explain(exit_code: int) -> str:
    if exit_code == rendering.UNAVAILABLE:
        return _(
            "PDF files cannot be made here, because WeasyPrint or Pango is missing. On Debian and Ubuntu: apt install "
            "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        )
    return _("The document takes too much time or memory to be made.")
