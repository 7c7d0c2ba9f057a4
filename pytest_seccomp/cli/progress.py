"""A progress bar for what takes longer than a second, where standard error is a terminal."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from pytest_seccomp.trace.recorded import Recorded
from pytest_seccomp.trace.sources import Source
from pytest_seccomp.trace.totals import Totals

_PATIENCE = 1.0
"""Seconds before there is a bar."""

_EVERY = 0.1
_WIDTH = 30

Step = Callable[[int], None]
"""Is told how much was done since it was told last."""


@contextmanager
def progress(text: str, total: int) -> Iterator[Step]:
    """Show how much of `total` is done, in the block that takes so long. Nothing stays of it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _step: None
        return
    bar = Bar(text, total, sys.stderr)
    try:
        yield bar.step
    finally:
        bar.close()


class Bar:
    """A line that is written again and again. `clock` returns seconds."""

    def __init__(self, text: str, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._text = text
        self._total = max(total, 1)
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._next = clock() + _PATIENCE
        self._shown = False

    def step(self, done: int) -> None:
        """So much more is done."""
        self._done += done
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY
        share = min(self._done / self._total, 1.0)
        filled = round(share * _WIDTH)
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}"
        room = shutil.get_terminal_size().columns - len(bar) - 2
        self._write(f"\r{bar} {self._text[: max(room, 0)]}\x1b[K")
        self._shown = True

    def close(self) -> None:
        """Take it away."""
        if self._shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone: nobody misses it
            self._stream.write(text)
            self._stream.flush()


def size(files: Iterable[Path]) -> int:
    """Of all of these in bytes, as far as it can be known."""
    found = 0
    for file in files:
        with suppress(OSError):
            found += file.stat().st_size
    return found


@dataclass(slots=True, frozen=True)
class Watched:
    """A trace that is merged, step by step of what is written of it."""

    source: Source | Recorded
    step: Step

    @property
    def files(self) -> Iterable[Path]:
        """Those that it is read from."""
        return self.source.files

    def write_to(self, output: BinaryIO) -> Totals:
        """As the source does."""
        return self.source.write_to(cast("BinaryIO", _Counted(output, self.step)))


class _Counted:
    """A file that tells how much is written into it."""

    def __init__(self, file: BinaryIO, step: Step) -> None:
        self._file = file
        self._step = step

    def write(self, data: bytes) -> int:
        self._step(len(data))
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
