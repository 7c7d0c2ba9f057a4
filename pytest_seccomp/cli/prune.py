"""`pytest-seccomp prune`: takes away from a profile what complete traces never made."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_seccomp.cli.output import write_json, write_lines
from pytest_seccomp.cli.progress import Step, progress, size
from pytest_seccomp.errors import SeccompError, TraceError
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.sources import Source, find_all
from pytest_seccomp.trace.totals import Totals
from pytest_seccomp.trace.words import plural

if TYPE_CHECKING:
    from pytest_seccomp.gate.pruning import Names


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "take away from a profile what no trace has"
    parser = commands.add_parser(
        "prune",
        help=text,
        description=f"{text.capitalize()}. PROFILE is replaced; all else in it stays as it is. The traces must be "
        "complete, and of all that is to run under the profile.",
    )
    parser.add_argument("profile", metavar="PROFILE", type=Path, help="a profile as docker, podman and the OCI have it")
    parser.add_argument("traces", metavar="TRACE", type=Path, nargs="+", help="a trace or its tests file")
    keep = "a call or @group that stays, though no trace has it; can be given several times"
    parser.add_argument("--keep", metavar="CALL", action="append", default=[], help=keep)
    untraced = "prune a profile that is also for architectures of which there is no trace"
    parser.add_argument("--allow-untraced", action="store_true", help=untraced)
    parser.add_argument("--dry-run", action="store_true", help="change nothing, only say what would be taken away")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.gate.allowed import AllowedByProfile, is_trace
    from pytest_seccomp.gate.pruning import Names, Needed
    from pytest_seccomp.gate.updating import Target
    from pytest_seccomp.profile.architectures import machine_of

    path: Path = arguments.profile
    if is_trace(path):
        raise SeccompError(f"{path} is a trace: only profiles can be pruned; record a trace anew")
    totals = _totals(arguments.traces)
    needed = Needed(totals.records(), _kept(arguments.keep))
    AllowedByProfile(path)  # is sound, or says what is wrong
    names = Names.of(path)
    traced = sorted({machine_of(record.arch) for record in needed.made})
    untraced = [machine for machine in names.machines if machine not in traced]
    if untraced and not arguments.allow_untraced:
        raise SeccompError(
            f"{path} is also for {', '.join(untraced)}, of which there is no trace: add one, or take it all the same "
            "for what is not needed there with --allow-untraced"
        )

    def is_dropped(name: str) -> bool:
        return not needed.is_needed(name)

    if arguments.dry_run:
        dropped = [name for name in names.prunable if is_dropped(name)]
    else:
        dropped = Target.check(path).prune(is_dropped)
    pruned = _Pruned(path, names, dropped, dry=arguments.dry_run)
    if arguments.json:
        write_json(pruned.members())
    else:
        write_lines(pruned.lines())
    return 0


def _totals(paths: Iterable[Path]) -> Totals:
    """What complete traces add up to. TraceError for one that is not."""
    whole = Totals()
    sources = find_all(paths)
    with progress("reading traces", size(source.files[-1] for source in sources)) as step:
        for source in sources:
            whole.add_totals(_complete(source, step))
    return whole


def _complete(source: Source, step: Step) -> Totals:
    """What a complete trace adds up to. TraceError for one that is not."""
    totals = Totals()
    for raw, _ in source.items(LineParser(), totals):
        step(len(raw))
    if not totals.complete:
        reasons = "; ".join(totals.reasons) or "lines of it say so, without a reason"
        raise TraceError(
            f"{source.files[0]} is incomplete ({reasons}): what it lacks would be taken away: record it anew"
        )
    return totals


def _kept(texts: Iterable[str]) -> frozenset[str]:
    """The names that a user wants to keep. SeccompError for one that there is not."""
    from pytest_seccomp.profile.groups import find
    from pytest_seccomp.profile.known import known_names
    from pytest_seccomp.trace.wanted import Wanted

    kept: set[str] = set()
    for text in texts:
        if text.startswith("@"):
            kept.update(member.name for member in find(text).members())
        else:
            Wanted(text, None, text, None).check_known(known_names())
            kept.add(text)
    return frozenset(kept)


@dataclass(slots=True, frozen=True)
class _Pruned:
    path: Path
    names: "Names"
    dropped: list[str]
    dry: bool

    def members(self) -> dict[str, object]:
        """For a program."""
        kept = [name for name in self.names.prunable if name not in self.dropped]
        others = [*self.names.around, *self.names.elsewhere]
        return {"path": str(self.path), "removed": self.dropped, "kept": kept, "not_judged": others}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f'- "{name}"' for name in self.dropped)
        left = len(self.names.prunable) - len(self.dropped)
        done = "to be removed" if self.dry else "removed"
        yield f"{self.path}: {plural(len(self.dropped), 'name')} {done}, {left:,} kept"
        if self.names.around:
            yield f"not judged, because they are base sets: {plural(len(self.names.around), 'name')}"
        if self.names.elsewhere:
            count = plural(len(self.names.elsewhere), "name")
            yield f"not judged, because they hold on some hosts only (includes, excludes): {count}"
