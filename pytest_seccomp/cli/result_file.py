"""A single file that a command writes: where it goes, and why a place is refused before anything is read."""

from collections.abc import Iterable
from pathlib import Path

from pytest_seccomp.trace.place import Place, check_writable, lock_of
from pytest_seccomp.trace.reading import os_text


def result_file(named: Path, what: str, inputs: Iterable[Path], begins: bytes) -> tuple[Path, Path]:
    """The file that a user means, and the one that is locked while it is replaced; makes missing directories.

    TraceError where it cannot be written, is one of the inputs, or is there, not empty, and begins with other bytes.
    """
    place = Place(named, what)
    try:
        real = place.real()
        there = place.check_there(real)
        if there and any(path.exists() and real.samefile(path) for path in inputs):
            place.refuse("it is what is read", "name another file")
        if there:
            with real.open("rb") as file:
                found = file.read(len(begins))
            if found and found != begins:
                place.refuse(f"there is a file that is not {what}", "name another file")
        real.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_of(real)
        Place(lock, what).check_regular(lock)
        check_writable({real.parent})
        return real, lock
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        place.refuse(os_text(error), "name a place that you can write to", error)
