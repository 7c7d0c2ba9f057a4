"""What traces have called, as a part of a profile."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.errors import TraceError
from pytest_seccomp.formats.profile import Allowed, Part
from pytest_seccomp.linux import syscalls
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import Source
from pytest_seccomp.trace.totals import Totals
from pytest_seccomp.trace.words import plural


@dataclass(slots=True, frozen=True)
class Traced:
    """The calls of some traces."""

    name: str
    """That of the first, as a profile can have it."""
    part: Part
    remarks: tuple[str, ...]
    """What whoever reads the profile has to know: what may be missing, what was left out."""
    files: tuple[Path, ...]
    """All that were read."""
    complete: bool


def traced(
    sources: Sequence[Source],
    *,
    min_tests: int = 1,
    allow_incomplete: bool = False,
    step: Callable[[int], None] = lambda _size: None,
) -> Traced:
    """Read traces, at least one. What fewer runs of tests than `min_tests` called, and neither importing nor
    collecting, is left out. `step` is told how many bytes have been read since it was told last.

    TraceError where one cannot be read, is incomplete and that is not allowed, or where nothing is left.
    """
    totals = Totals()
    remarks = []
    for source in sources:
        found = Totals()
        for raw, _ in source.items(LineParser(), found):
            step(len(raw))
        if not found.complete:
            reasons = "; ".join(found.reasons) or "lines of it say so"
            if not allow_incomplete:
                raise TraceError(
                    f"{source.files[0]} is incomplete ({reasons}), so that a profile of it would deny what was called: "
                    "trace again, or generate it all the same with --allow-incomplete"
                )
            remarks.append(f"INCOMPLETE, calls may be missing: {_title(source)}: {reasons}.")
        totals.add_totals(found)
    records = totals.records()
    few = [record for record in records if record.tests < min_tests and not record.collection]
    kept = [record for record in records if record not in few]
    if not kept:
        raise TraceError(f"nothing was called by {plural(min_tests, 'test')}: ask for fewer with --min-tests")
    if few:
        listed = ", ".join(f"{_allowed(record).text} ({plural(record.tests, 'test')})" for record in few)
        remarks.append(f"Left out, called by fewer than {plural(min_tests, 'test')}: {listed}.")
    return Traced(
        name=_name(sources[0]),
        part=Part(f"Called in {', '.join(map(_title, sources))}", tuple(map(_allowed, kept))),
        remarks=tuple(remarks),
        files=tuple(file for source in sources for file in source.files),
        complete=totals.complete,
    )


def _allowed(record: Record) -> Allowed:
    name = record.name
    if name is None:  # whoever recorded it may have known fewer
        try:
            name = syscalls.name_of(syscalls.audit_arch_of(record.arch), record.syscall)
        except ValueError:
            pass  # an architecture that only the version knows which wrote the trace
    return Allowed(record.arch, record.syscall, name)


def _title(source: Source) -> str:
    """The name alone, so that a profile does not say where it was made."""
    return source.files[0].name


def _name(source: Source) -> str:
    """As Kubernetes wants names: RFC 1123, and some more that are no names of files."""
    stem = source.files[0].name.split(".")[0].lower()
    return re.sub("[^a-z0-9]+", "-", stem).strip("-")[:63].strip("-") or "profile"
