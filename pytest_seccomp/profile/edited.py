"""The text of a profile with names added or taken away: one name a line, sorted in, and all else as it was.

What it takes away and adds are lines, so that a change of a profile reads as one. A text in a single line is first laid
out in lines.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from pytest_seccomp.profile.spans import Span, spans

ALLOW = "SCMP_ACT_ALLOW"
BASE_SET = "Base set"
"""How the comment of an entry begins, or goes on after a sentence, that is made of a base set; its name follows."""
_INDENT = "  "

Edit = tuple[int, int, str]
"""Where something begins and ends in a text, and what takes its place."""


def new(architectures: Iterable[str]) -> str:
    """A profile that allows nothing on some architectures, by the names that profiles have for them."""
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": list(architectures),
        "syscalls": [],
    }
    return json.dumps(document, indent=_INDENT) + "\n"


def with_added(text: str, names: Iterable[str], architectures: Iterable[str]) -> str:
    """A profile that also allows these calls, on these architectures as well, by the names that profiles have."""
    layout = _Layout(text)
    profile = layout.profile
    edits: list[Edit] = []
    added = sorted(set(names))
    entry = next((entry for entry in layout.entries if _takes_names(entry.value)), None)
    if added and entry is not None:
        held = entry.members["names"]
        edits.append(layout.rewritten(held, _merged(held.value, added)))
    elif added:
        edits.append(layout.with_entry({"names": added, "action": ALLOW}))
    also = sorted(set(architectures))
    if also and profile.value.get("architectures"):
        held = profile.members["architectures"]
        edits.append(layout.rewritten(held, [*held.value, *(name for name in also if name not in held.value)]))
    elif also:
        edits.append(layout.with_member("architectures", also))
    return layout.edited(edits)


def without(text: str, is_dropped: Callable[[str], bool]) -> str:
    """A profile without some of the names in entries that can be pruned; one that has lost its last name is gone,
    too."""
    layout = _Layout(text)
    edits: list[Edit] = []
    gone: list[int] = []
    for index, entry in enumerate(layout.entries):
        if not is_prunable(entry.value):
            continue
        names = names_of(entry.value)
        left = [name for name in names if not is_dropped(name)]
        if not left:
            gone.append(index)
        elif len(left) < len(names):
            edits.append(layout.rewritten(entry.members["names"], left))
    if gone:
        # From the inside out: texts in `edits` are of entries that stay
        entries = layout.profile.members["syscalls"]
        edits += _without_items(entries, gone)
    return layout.edited(edits)


def names_of(entry: dict[str, Any]) -> list[str]:
    """The names of an entry, in either way of writing them."""
    if entry.get("name") is not None:
        return [entry["name"]]
    return list(entry.get("names") or ())


def is_prunable(entry: dict[str, Any]) -> bool:
    """Whether an entry allows calls, on every host, and those that traces have."""
    return entry.get("action") == ALLOW and not is_conditional(entry) and not is_base_set(entry)


def is_base_set(entry: dict[str, Any]) -> bool:
    """Whether an entry allows what is called around a program and is in no trace of it, as its comment says."""
    comment = entry.get("comment")
    return isinstance(comment, str) and re.search(rf"(?:^|\. ){BASE_SET} [\w-]+: ", comment) is not None


def is_conditional(entry: dict[str, Any]) -> bool:
    """Whether it depends on the host if an entry holds."""
    return any(any((entry.get(name) or {}).values()) for name in ("includes", "excludes"))


def _takes_names(entry: dict[str, Any]) -> bool:
    """Whether a name that is added to an entry is allowed, whatever its arguments and on every host."""
    return is_prunable(entry) and type(entry.get("names")) is list and not entry.get("args")


def _merged(names: list[str], added: Iterable[str]) -> list[str]:
    """Each before the first of the others that is greater, so that what is sorted stays so and nothing is moved."""
    found = list(names)
    for name in added:
        if name not in found:
            place = next((index for index, other in enumerate(found) if other > name), len(found))
            found.insert(place, name)
    return found


def _without_items(held: Span, gone: Collection[int]) -> Iterator[Edit]:
    """A list without some of its items."""
    items, left = held.items, [index for index in range(len(held.items)) if index not in gone]
    if not left:
        yield held.begin, held.end, "[]"
        return
    for index in gone:
        if index < left[0]:
            yield items[index].begin, items[index + 1].begin, ""  # with the comma behind it
        else:
            yield items[index - 1].end, items[index].end, ""  # with the comma before it


class _Layout:
    """The text of a profile, and how it is laid out."""

    def __init__(self, text: str) -> None:
        if "\n" not in text.strip():
            text = json.dumps(json.loads(text), indent=_INDENT, ensure_ascii=False) + "\n"
        self.text = text
        root = spans(text)
        self._newline = "\r\n" if "\r\n" in text else "\n"
        match = re.match(r"\s*\{\s*?\r?\n([ \t]+)", text)
        self._indent = match[1] if match is not None else _INDENT
        self.profile = root.members["linux"].members["seccomp"] if "ociVersion" in root.members else root
        self.entries = self.profile.members["syscalls"].items if self.profile.value.get("syscalls") else []

    def rewritten(self, held: Span, items: Iterable[Any]) -> Edit:
        """A list with other items, one a line."""
        return held.begin, held.end, self._shown(list(items), self._indent_at(held.begin))

    def with_entry(self, entry: dict[str, Any]) -> Edit:
        """The profile with an entry more."""
        if not self.entries:
            if self.profile.value.get("syscalls") is None:
                return self.with_member("syscalls", [entry])
            held = self.profile.members["syscalls"]
            return held.begin, held.end, self._shown([entry], self._indent_at(held.begin))
        last = self.entries[-1]
        indent = self._indent_at(last.begin)
        return last.end, last.end, f",{self._newline}{indent}{self._shown(entry, indent)}"

    def with_member(self, name: str, value: Any) -> Edit:
        """The profile with a member that it does not have, or that is null or empty."""
        old = self.profile.members.get(name)
        if old is not None:
            return old.begin, old.end, self._shown(value, self._indent_at(old.begin))
        last = max(self.profile.members.values(), key=lambda member: member.end)
        indent = self._indent_at(self.profile.begin) + self._indent
        return last.end, last.end, f",{self._newline}{indent}{json.dumps(name)}: {self._shown(value, indent)}"

    def edited(self, edits: Iterable[Edit]) -> str:
        """The text with these changes."""
        text = self.text
        for begin, end, replacement in sorted(edits, reverse=True):
            text = text[:begin] + replacement + text[end:]
        return text

    def _indent_at(self, position: int) -> str:
        """That of the line in which a value begins."""
        line = self.text[self.text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _shown(self, value: Any, indent: str) -> str:
        """A value as it stands in a line with that indentation."""
        lines = json.dumps(value, indent=self._indent, ensure_ascii=False).split("\n")
        return f"{self._newline}{indent}".join(lines)
