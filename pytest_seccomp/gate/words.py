"""A verdict in words: for a test's report, and for the summary."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_seccomp.gate.expectations import INI, MARKER
from pytest_seccomp.gate.verdict import Verdict
from pytest_seccomp.trace.denials import COLLECTION, LATE, Denial
from pytest_seccomp.trace.table import printable
from pytest_seccomp.trace.words import plural

_MOST_NAMED = 3
_IN_A_SANDBOX = "in a sandbox"
_IN_THE_SANDBOX = "in the sandbox with "


def note_of_sandbox(policy: str | None) -> str:
    """The note of a denial in a sandbox with a policy, in words, or with none of its own."""
    return _IN_A_SANDBOX if policy is None else f"{_IN_THE_SANDBOX}{policy}"


def report(verdict: Verdict) -> str:
    """What the user needs next, in the report of a phase; its first line says all in short."""
    return "\n".join(_report(verdict))


def _report(verdict: Verdict) -> Iterator[str]:
    denials = verdict.unexpected
    yield "; ".join(
        [*([headline(denials)] if denials else []), *([_missing(verdict.missing)] if verdict.missing else [])]
    )
    yield ""
    yield f"In {where(verdict.nodeid, verdict.phase, verdict.rerun)}:"
    for line in each(denials):
        yield f"    {line}"
    if verdict.missing:
        yield f"    no logged denial of {', '.join(map(printable, verdict.missing))} in setup and call, but strict=True"
    if denials:
        yield "If it has to be denied, say so above the test:"
        yield f"    {to_expect(denials)}"
    in_sandboxes = [denial for denial in denials if any(map(_is_of_sandbox, denial.notes))]
    if in_sandboxes:
        yield "or where the sandbox is started:"
        yield f"    expect_denied=[{_quoted(in_sandboxes)}]"


def _is_of_sandbox(note: str) -> bool:
    return note == _IN_A_SANDBOX or note.startswith(_IN_THE_SANDBOX)


def listing(nodeid: str, phase: str, rerun: int, denials: Sequence[Denial]) -> str:
    """Denials of a phase, without a judgement."""
    return "\n".join([f"In {where(nodeid, phase, rerun)}:", *(f"    {line}" for line in each(denials))])


def headline(denials: Sequence[Denial]) -> str:
    """Denials in one line: `seccomp denied socket to curl (errno)`."""
    texts = list(dict.fromkeys(f"{denial.call} to {printable(denial.comm)} ({_answer(denial)})" for denial in denials))
    return f"seccomp denied {_shortened(texts)}"


def _missing(calls: Sequence[str]) -> str:
    return f"expected denial of {', '.join(map(printable, calls))} did not come"


def where(nodeid: str | None, phase: str, rerun: int) -> str:
    """A phase of a test in words."""
    if phase == COLLECTION or nodeid is None:
        return "loading conftests and collecting"
    repeated = f" (rerun {rerun})" if rerun else ""
    before = "after the end of" if phase == LATE else f"the {phase} of"
    return f"{before} {printable(nodeid)}{repeated}"


def each(denials: Sequence[Denial]) -> Iterator[str]:
    """A line for each kind of denial, with how often it came, and its notes."""
    counts: Counter[tuple[str, str, str, str]] = Counter()  # by what a line says
    pids: dict[tuple[str, str, str, str], list[str]] = {}
    notes: dict[tuple[str, str, str, str], list[str]] = {}
    for denial in denials:
        kind = (_with_paths(denial), _answer(denial), denial.comm, denial.exe or "an executable that is gone")
        counts[kind] += denial.count
        pids.setdefault(kind, []).append(str(denial.pid))
        notes.setdefault(kind, []).extend(denial.notes)
    for kind, count in counts.items():
        call, action, comm, exe = map(printable, kind)
        which = list(dict.fromkeys(pids[kind]))
        process = f"process{'es' if len(which) > 1 else ''} {_shortened(which)}"
        yield f"{call}{f', {count:,} times' if count > 1 else ''}: {action}, to {comm}, {process}, {exe}"
        for note in dict.fromkeys(notes[kind]):
            for line in note.splitlines():
                yield f"    {printable(line)}"


def _with_paths(denial: Denial) -> str:
    """`openat /etc/shadow`."""
    return " ".join([denial.call, *(path for _, path in denial.paths)])


def _answer(denial: Denial) -> str:
    """What was done: errno, errno:EPERM where the error is known, kill_process."""
    return denial.action if denial.errno is None else f"{denial.action}:{denial.errno}"


def _shortened(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return f"{', '.join(texts[:_MOST_NAMED])}{f' and {more:,} more' if more > 0 else ''}"


def to_expect(denials: Sequence[Denial]) -> str:
    """The line to paste above a test, after which these denials are expected."""
    return f"@pytest.mark.{MARKER}({_quoted(denials)})"


def to_expect_everywhere(denials: Sequence[Denial]) -> str:
    """The line to paste into the ini file."""
    return f"{INI} = {' '.join(_names(denials))}"


def _quoted(denials: Sequence[Denial]) -> str:
    return ", ".join(f'"{name}"' for name in _names(denials))


def _names(denials: Sequence[Denial]) -> list[str]:
    return sorted({denial.call for denial in denials})


def by_place(denials: Sequence[Denial]) -> Iterator[str]:
    """Denials for the summary: a line for each phase of each test that has any, and below it its denials."""
    places: dict[tuple[str | None, str, int], list[Denial]] = {}
    for denial in denials:
        places.setdefault((denial.nodeid, denial.phase, denial.rerun), []).append(denial)
    for (nodeid, phase, rerun), found in places.items():
        yield where(nodeid, phase, rerun)
        for line in each(found):
            yield f"    {line}"


def figures(denials: Sequence[Denial]) -> str:
    """ "2 unexpected, 1 expected", "none"."""
    expected = sum(denial.count for denial in denials if denial.expected)
    others = sum(denial.count for denial in denials if not denial.expected)
    parts = [f"{count:,} {word}" for count, word in ((others, "unexpected"), (expected, "expected")) if count]
    return ", ".join(parts) or "none"


def counted(denials: Sequence[Denial]) -> str:
    """ "1 denial", "2 denials"."""
    return plural(sum(denial.count for denial in denials), "denial")
