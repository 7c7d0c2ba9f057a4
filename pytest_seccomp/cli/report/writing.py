"""Writing the page: the trace goes into it as JSON, line by line as it is read, and the script draws it.

Node ids, names and paths may hold anything. In the page they are JSON within a script element, in which nothing but `<`
could end it or begin a comment (HTML, 4.12.1.3), and the script puts them into text nodes alone. The page's own policy
(Content-Security-Policy) forbids it every request.
"""

import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

from pytest_seccomp.cli.loading import Loaded
from pytest_seccomp.trace.counts import Call
from pytest_seccomp.trace.denials import Denial
from pytest_seccomp.trace.deny_log import Incomplete, read
from pytest_seccomp.trace.records import Line, Untold
from pytest_seccomp.trace.words import in_words

_KINDS = ("test", "collect", "harness")


class Page:
    """A page that is written into a file: `begin`, each line of the trace, `end`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._index: dict[tuple[str, int], int] = {}
        """Of each call, by architecture and number: its place in the list of calls."""
        self._names: list[tuple[str, int, str | None]] = []
        self._separator = ""
        page, self._rest = _resource("page.html").split("<!-- DATA -->")
        self._write(page.replace("/* CSS */", _resource("page.css")))
        self._write('<script type="application/json" id="tests">[')

    def add(self, item: Line | Untold, run: int) -> None:
        """A line of the trace."""
        if not isinstance(item, Line):
            return
        head = item.head
        flat: list[int] = []
        for call, counts in item.calls:
            flat.append(self._place(call))
            flat += counts.by_phase if head.kind == "test" else (0, counts.count, 0, 0)
        line = [
            _KINDS.index(head.kind), item.nodeid, head.outcome, head.worker, head.rerun, run, int(head.complete), flat,
        ]  # fmt: skip
        self._write(f"{self._separator}\n{_json(line)}")
        self._separator = ","

    def end(self, loaded: Loaded, deny_log: Path | None) -> None:
        """What the trace is as a whole, and the denials in a deny log, if there is one. TraceError where that cannot be
        read."""
        denials, reasons = (None, []) if deny_log is None else self._denials(read(deny_log))
        records = {(record.arch, record.syscall): record for record in loaded.totals.records()}
        for record in records.values():  # those of a trace whose tests file is missing
            self._place(Call(record.arch, record.syscall, record.name))
        calls: list[list[Any]] = []
        for arch, number, name in self._names:
            found = records.get((arch, number))
            counts = (found.count, found.tests, found.collection) if found is not None else (0, 0, 0)
            calls.append([found.name if found is not None else name, number, arch, *counts])
        order = sorted(range(len(calls)), key=lambda index: (-calls[index][3], calls[index][2], calls[index][1]))
        members = {
            "file": loaded.source.files[0].name,
            "complete": loaded.totals.complete,
            "reasons": loaded.reasons,
            "figures": in_words(loaded.totals.figures(), runs=len(loaded.runs)),
            "architectures": len({arch for arch, _, _ in self._names}),
            "runs": [loaded.describe(number) for number in range(1, len(loaded.runs) + 1)],
            "calls": calls,
            "order": order,
            "denials": denials,
            "denial_reasons": reasons,
        }
        self._write(f'\n]</script>\n<script type="application/json" id="trace">{_json(members)}</script>')
        self._write(self._rest.replace("/* JS */", _resource("page.js")))

    def _denials(self, items: Iterable[Denial | Incomplete]) -> tuple[list[dict[str, Any]], Sequence[str]]:
        found: list[dict[str, Any]] = []
        reasons: Sequence[str] = ()
        for item in items:
            if isinstance(item, Incomplete):
                reasons = item.reasons or ("denials may be missing",)
                continue
            names = ("nodeid", "rerun", "phase", "count", "action", "errno", "pid", "comm", "exe", "expected")
            call = self._place(Call(item.arch, item.syscall, item.name))
            found.append({**{name: getattr(item, name) for name in names}, "call": call})
        return found, reasons

    def _place(self, call: Call) -> int:
        place = self._index.get(call.key)
        if place is None:
            place = self._index[call.key] = len(self._names)
            self._names.append((call.arch, call.number, call.name))
        return place

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8"))


def _json(value: object) -> str:
    """As it may stand in a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _resource(name: str) -> str:
    return resources.files("pytest_seccomp.cli.report").joinpath(name).read_text(encoding="utf-8")
