"""Rewriting the file of what is allowed: only by adding to it, whole, and under a lock, so that two at once end in one
after the other.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.errors import SeccompError, TraceError
from pytest_seccomp.gate.additions import ARCHITECTURES, Additions, additions
from pytest_seccomp.gate.allowed import TRACE_SUFFIX, Allowed, AllowedByProfile, is_trace
from pytest_seccomp.gate.pruning import Names
from pytest_seccomp.profile import edited
from pytest_seccomp.profile.architectures import machine_of
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.length import say_lines
from pytest_seccomp.trace.lock import locked
from pytest_seccomp.trace.paths import tests_path
from pytest_seccomp.trace.place import Place, check_writable, lock_of
from pytest_seccomp.trace.reading import LineParser, os_text
from pytest_seccomp.trace.records import Record, Untold
from pytest_seccomp.trace.replacement import replacing, replacing_one
from pytest_seccomp.trace.sources import find
from pytest_seccomp.trace.totals import Totals


@dataclass(slots=True, frozen=True)
class Target:
    """A file that can be rewritten, or made, as far as can be known beforehand."""

    path: Path

    @classmethod
    def check(cls, named: Path) -> "Target":
        """The file that a name means now, whatever the working directory is later. TraceError, one line with what to
        do, where it cannot be written; what is in it is not looked at."""
        place = Place(named, "a profile")
        try:
            real = place.real()
            place.check_there(real)
            if not real.parent.is_dir():
                place.refuse("there is no such directory", "make it, or name another place")
            Place(lock_of(real), "a profile").check_regular(lock_of(real))
            check_writable({real.parent})
            if real.suffix == TRACE_SUFFIX and tests_path(real).exists():
                Destination.check(real)
        except (OSError, ValueError) as error:  # ValueError: a name with NUL
            place.refuse(os_text(error), "name a place that you can write to", error)
        return cls(real)

    @property
    def is_new(self) -> bool:
        """Whether nothing is there yet; an empty file was made for us, unless it is of a trace that has tests."""
        if not self.path.exists():
            return True
        return not self.path.stat().st_size and not (is_trace(self.path) and tests_path(self.path).exists())

    def update(self, records: Iterable[Record]) -> Additions:
        """Have the file allow these calls, too, and say what that took. Nothing is written where it takes nothing.

        SeccompError where what is there by now is neither a profile nor a complete trace, or cannot be replaced; it is
        then as it was.
        """
        made = sorted(records, key=lambda record: (record.arch, record.syscall))
        with locked(lock_of(self.path)):
            if self.is_new:
                return self._create(made)
            allowed = Allowed.read(self.path)
            added = additions(allowed, allowed.outside(made))
            if added.records:
                _add_to_trace(self.path, added.records)
            elif added:
                self._rewrite(lambda text: _with(text, added))
            return added

    def prune(self, is_dropped: Callable[[str], bool]) -> list[str]:
        """Take names away from a profile, of those that it allows on every host; returns them. SeccompError where it is
        no profile by now, or cannot be replaced; it is then as it was."""
        with locked(lock_of(self.path)):
            AllowedByProfile(self.path)  # is sound
            dropped = [name for name in Names.of(self.path).prunable if is_dropped(name)]
            if dropped:
                self._rewrite(lambda text: edited.without(text, dropped.__contains__))
            return dropped

    def _create(self, records: Sequence[Record]) -> Additions:
        if self.path.suffix == TRACE_SUFFIX:
            _create_trace(self.path, records)
            return Additions(records=list(records))
        made = Additions()
        for record in records:
            if record.name is None:
                made.refused.append((record, "it has no name, and profiles have names alone"))
            elif record.arch not in ARCHITECTURES:
                made.refused.append((record, f"profiles know no architecture {record.arch}"))
            else:
                made.names.add(record.name)
                made.architectures |= {machine_of(record.arch), record.arch}
        architectures = sorted(made.architectures, key=lambda arch: (machine_of(arch), machine_of(arch) != arch, arch))
        text = edited.new(ARCHITECTURES[arch] for arch in architectures)
        _write(self.path, edited.with_added(text, made.names, ()).encode("ascii"))
        return made

    def _rewrite(self, change: Callable[[str], str]) -> None:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise SeccompError(f"cannot read {self.path}: {os_text(error)}") from error
        encoding = json.detect_encoding(data)
        text = change(data.decode(encoding))
        json.loads(text)  # what is written can be read
        _write(self.path, text.encode(encoding))


def _with(text: str, added: Additions) -> str:
    return edited.with_added(text, added.names, [ARCHITECTURES[arch] for arch in added.architectures])


def _write(path: Path, data: bytes) -> None:
    with replacing_one(path) as file:
        file.write(data)


def _create_trace(path: Path, records: Sequence[Record]) -> None:
    """With one file, which is whole by itself. With both where the tests of another trace are left from one that was
    removed to begin anew: the new file would not follow from them."""
    if tests_path(path).exists():
        _write_both(path, [], records, records)
    else:
        _write(path, _text(records))


def _add_to_trace(path: Path, records: Sequence[Record]) -> None:
    """In both of its files, where it has two: PATH goes on following from the tests file."""
    source = find(path)
    totals = Totals()
    lines = [raw for raw, _ in source.items(LineParser(), totals)]
    whole = sorted([*totals.records(), *records], key=lambda record: (record.arch, record.syscall))
    if source.tests is None:
        _write(path, _text(whole))
        return
    if source.path is None:
        raise TraceError(f"{path} has the tests of a trace, whose other file is missing: name a whole trace")
    _write_both(source.path, lines, records, whole)


def _write_both(path: Path, lines: Sequence[bytes], added: Sequence[Record], whole: Sequence[Record]) -> None:
    """The two files of a trace: that with tests has lines, and one more for records that nobody knows the tests of."""
    with replacing(Destination.check(path)) as new:
        for raw in lines:
            new.tests.write(raw if raw.endswith(b"\n") else raw + b"\n")
        new.tests.write(Untold(list(added), complete=True).format().encode("ascii"))
        say_lines(new.tests, len(lines))
        new.records.write(_text(whole))


def _text(records: Iterable[Record]) -> bytes:
    return "".join(record.format() for record in records).encode("ascii")
