"""How packages add profile formats: the hook, and where it is looked for.

A package names a module, or any object, in the entry point group `pytest_seccomp`; what it has under the name of the
hook, marked with `hookimpl`, is called. Installed packages are asked only for a format that is none of ours: one that
is broken spoils nothing else.
"""

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import pluggy

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.format import Format

PROJECT = "pytest_seccomp"
"""The name of the pluggy project, and of the entry point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks an implementation."""


class Specification:
    """The hooks of the project."""

    @hookspec
    def seccomp_profile_formats(self) -> Iterable[Format]:  # type: ignore[empty-body]
        """The formats that a package adds."""


def find(name: str) -> Format:
    """The format of a name. SeccompError where there is none, or where a package that could have it fails."""
    ours = _ours()
    if name in ours:
        return ours[name]
    known = all_formats()
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    raise SeccompError(f"no profile format is named {name!r}: {remedy}")


def all_formats() -> dict[str, Format]:
    """Ours and those of all installed packages, by name. SeccompError where a package fails."""
    found = _ours()
    for entry_point in sorted(entry_points(group=PROJECT), key=lambda point: (point.name, point.value)):
        for format in _formats_of(entry_point):
            if format.name in found:
                raise _failure(entry_point, f"there is a format named {format.name!r} already")
            found[format.name] = format
    return found


def _ours() -> dict[str, Format]:
    from pytest_seccomp.formats import builtin

    return {format.name: format for format in _asked(builtin)}


def _formats_of(entry_point: EntryPoint) -> list[Format]:
    try:
        found = _asked(entry_point.load())
    except Exception as error:
        raise _failure(entry_point, f"{type(error).__name__}: {error}") from error
    for format in found:
        if not isinstance(format, Format):
            raise _failure(entry_point, f"{format!r} is no pytest_seccomp.formats.Format")
    return found


def _asked(plugin: object) -> list[Format]:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Specification)
    manager.register(plugin)
    manager.check_pending()  # an implementation of a hook that there is not: a misspelling
    return [format for formats in manager.hook.seccomp_profile_formats() for format in formats]


def _failure(entry_point: EntryPoint, reason: str) -> SeccompError:
    package = entry_point.dist.name if entry_point.dist is not None else "a package"
    text = " ".join(reason.split())  # pluggy's own say more than a line
    return SeccompError(f"{package} adds profile formats ({entry_point.value}) and fails: {text}: mend or remove it")
