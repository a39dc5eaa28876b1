"""What data flow into and out of: programs and threads at the other end of a pipe, each failure told in one line."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from signal import SIGPIPE
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Any, Protocol

from backup.settings import FailedError

PIECE = 2**18  # bytes
END_SECONDS = 10


class Sink(Protocol):
    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """All has been written; raises FailedError where it was not taken, or not as it should be."""

    def abort(self) -> None: ...


@contextmanager
def filling(*sinks: Sink) -> Iterator["Tee"]:
    """Finish each of them after the block; where something fails, abort them all."""
    try:
        yield Tee(sinks)
        for sink in sinks:
            sink.finish()
    except BaseException:
        for sink in sinks:
            sink.abort()
        raise


class Tee:
    """As a file that is written to, for those that want one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks

    def write(self, data: bytes) -> int:
        for sink in self.sinks:
            sink.write(data)
        return len(data)

    def copy(self, stream: IO[bytes]) -> None:
        while piece := stream.read(PIECE):
            self.write(piece)


class Program:
    """A sink: a command that reads its standard input. `output` is a pipe where somebody reads what it writes."""

    def __init__(self, command: Sequence[str], output: int = subprocess.DEVNULL) -> None:
        self.said = TemporaryFile()  # noqa: SIM115 - as long as the process
        self.is_done = False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=self.said)
        assert self.process.stdin  # noqa: S101 - for the type checker
        self.stdin = self.process.stdin

    def write(self, data: bytes) -> None:
        if self.is_done:
            return
        try:
            self.stdin.write(data)
        except BrokenPipeError:
            self.finish()  # raises why it cannot take it; else it needs no more

    def finish(self) -> None:
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.process.wait()
        self.is_done = True
        if self.process.returncode:
            raise FailedError(last_words(self.process, self.said))

    def abort(self) -> None:
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.process.kill()
        self.process.wait()
        self.said.close()


class Reader:
    """A sink: a thread that reads a pipe from beginning to end and makes something of it, its `result`."""

    def __init__(self, read: Callable[[IO[bytes]], Any]) -> None:
        source, target = os.pipe()
        self.target = os.fdopen(target, "wb", buffering=0)
        self.reading = Reading(os.fdopen(source, "rb"), read)

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self.target.write(left) :]
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        self.target.close()
        self.reading.end()

    def abort(self) -> None:
        self.target.close()
        self.reading.thread.join()

    @property
    def result(self) -> Any:
        return self.reading.result


class Reading:
    """A thread that reads the stream; whoever writes to it notices when that failed, and asks why."""

    def __init__(self, stream: IO[bytes], read: Callable[[IO[bytes]], Any]) -> None:
        self.stream, self.read = stream, read
        self.result: Any = None
        self.error: Exception | None = None
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.stream:
                self.result = self.read(self.stream)
                while self.stream.read(PIECE):
                    pass
        except Exception as error:
            self.error = error

    def end(self) -> None:
        self.thread.join()
        if self.error:
            raise self.error


@contextmanager
def output_of(command: Sequence[str], stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """What the command writes. Raises FailedError where it ends badly, and reads on to its end to know that."""
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdout  # noqa: S101 - for the type checker
        try:
            yield process.stdout
            while process.stdout.read(PIECE):
                pass
            process.wait()
        except Exception as error:
            # Why it wrote something short or garbled matters more than what that led to.
            raise (ended_badly(process, said) or error) from error
        finally:
            if process.poll() is None:
                process.kill()
        if process.returncode:
            raise FailedError(last_words(process, said))


def ended_badly(process: subprocess.Popen[bytes], said: IO[bytes]) -> FailedError | None:
    """By itself, and not because nobody reads it any more."""
    if process.stdout:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        if process.wait(END_SECONDS) not in (0, -SIGPIPE):
            return FailedError(last_words(process, said))
    return None


def last_words(process: subprocess.Popen[bytes], said: IO[bytes]) -> str:
    """What it said of its failure: the first line that tells of an error, with its detail; else the last one."""
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.search("error:|detail:|ERROR|FATAL", line)]
    name = str(process.args[0] if isinstance(process.args, list) else process.args)
    if process.returncode < 0 and not telling:
        return f"{name} was ended by signal {-process.returncode}"
    if len(telling) > 1 and "detail:" in telling[1]:
        return f"{telling[0]} {telling[1].partition('detail: ')[2]}"
    return (telling or lines[-1:] or [f"{name} ended with {process.returncode}"])[0]
