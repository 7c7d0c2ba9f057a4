"""The values of the fixtures seccomp_run and seccomp_popen."""

import asyncio
import contextlib
import functools
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from os import fspath, stat
from typing import Any

import pytest

from pytest_seccomp.errors import PolicyWarning, SeccompError
from pytest_seccomp.gate.expectations import of_sandbox
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.plugin.sandboxes.here import here
from pytest_seccomp.plugin.sandboxes.sandboxing import About, Sandboxing
from pytest_seccomp.profile.given import Given, Source, also_under, given
from pytest_seccomp.profile.in_process import InProcess
from pytest_seccomp.sandbox.popen import SandboxedPopen
from pytest_seccomp.sandbox.running import Completed, run


class Starter:
    """Makes of what a user says of a sandbox what SandboxedPopen takes."""

    def __init__(self, sandboxing: Sandboxing, called: str) -> None:
        self._sandboxing = sandboxing
        self._called = called
        self._known: dict[object, Given | None] = {}

    def settings(
        self,
        *,
        policy: Source | None = None,
        allow: Iterable[str] | None = None,
        deny: Iterable[str] | None = None,
        action: str | None = None,
        capabilities: Iterable[str] | None = None,
        allow_incomplete: bool = False,
        record: bool | None = None,
        expect_denied: Iterable[str] = (),
        **others: Any,
    ) -> dict[str, Any]:
        """Arguments for SandboxedPopen; `others` are those of subprocess. Raises SeccompError."""
        __tracebackhide__ = True
        try:
            found = self._given(policy, allow, deny, action, capabilities, allow_incomplete)
            policies = self._sandboxing.policies_of_the_test
            if policies:
                record = True if found is None and record is None else record
                found = self._also_under(found, policies)
            about = About(None if found is None else found.words, of_sandbox(expect_denied))
        except SeccompError as error:
            raise type(error)(f"{self._called}: {error}") from None
        return {
            **others,
            "sandboxes": self._sandboxing.sandboxes,
            "policy": None if found is None else found.policy,
            "record": record,
            "about": about,
        }

    def _given(
        self,
        policy: Source | None,
        allow: Iterable[str] | None,
        deny: Iterable[str] | None,
        action: str | None,
        capabilities: Iterable[str] | None,
        allow_incomplete: bool,
    ) -> Given | None:
        """The policy, read once: a fixture or a loop starts many programs under the same."""
        if (policy, allow, deny, action) == (None, None, None, None):
            return None
        allow, deny, capabilities = map(_listed, (allow, deny, capabilities))
        with self._sandboxing.apart():
            key = repr((_identity(policy), allow, deny, action, capabilities, allow_incomplete))
            if key not in self._known:
                self._known[key] = given(
                    policy,
                    allow=allow,
                    deny=deny,
                    action=action,
                    host=here(capabilities),
                    allow_incomplete=allow_incomplete,
                )
                found = self._known[key]
                for text in found.policy.warnings if found is not None else ():
                    warnings.warn(text, PolicyWarning, stacklevel=4)
            return self._known[key]

    def _also_under(self, found: Given | None, policies: tuple[InProcess, ...]) -> Given:
        """A policy and those of the test."""
        key = repr((None if found is None else id(found), policies))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = also_under(found, policies, native())
        return known


class Run(Starter):
    """`seccomp_run(args, *, policy=None, deny=None, allow=None, action=None, expect_denied=(), ...)`: subprocess.run in
    a sandbox."""

    def __call__(self, *positional: Any, **named: Any) -> Completed:
        """Run a program to its end. All arguments that are not in `Starter.settings` are those of subprocess.run."""
        __tracebackhide__ = True
        return run(*positional, **self.settings(**named))

    async def aio(self, *positional: Any, **named: Any) -> Completed:
        """The same in a coroutine, by a thread of the loop's executor. Where it is cancelled, the program is ended."""
        __tracebackhide__ = True
        settings = self.settings(**named)
        started = _Started()
        loop = asyncio.get_running_loop()
        work = functools.partial(run, *positional, started=started, **settings)
        future = loop.run_in_executor(None, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            started.end()
            await asyncio.wait([future])
            raise


class Popen(Starter):
    """`seccomp_popen(args, *, policy=None, deny=None, allow=None, action=None, expect_denied=(), ...)`: Popen for a
    program in a sandbox."""

    def __call__(self, *positional: Any, **named: Any) -> SandboxedPopen:
        """Start a program. All arguments that are not in `Starter.settings` are those of subprocess.Popen."""
        __tracebackhide__ = True
        return SandboxedPopen(*positional, **self.settings(**named))


@dataclass(slots=True, frozen=True)
class Starters:
    """The values of both fixtures."""

    run: Run
    popen: Popen


@contextlib.contextmanager
def starters(config: pytest.Config) -> Iterator[Starters]:
    """For the time of a fixture. Raises SeccompError for options that cannot be."""
    with Sandboxing.started(config) as sandboxing:
        yield Starters(Run(sandboxing, "seccomp_run"), Popen(sandboxing, "seccomp_popen"))


class _Started:
    """A program that another thread starts, and that this one may end, whichever comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: SandboxedPopen | None = None
        self._ended = False

    def __call__(self, process: SandboxedPopen) -> None:
        with self._lock:
            self._process = process
            if self._ended:
                process.end()

    def end(self) -> None:
        """End it, now or as soon as it has started."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.end()


def _listed(names: Iterable[str] | None) -> Iterable[str] | None:
    """An iterator gives its names once."""
    return names if isinstance(names, str) or not isinstance(names, Iterable) else list(names)


def _identity(policy: Source | None) -> object:
    """What changes when a policy does."""
    if policy is None:
        return None
    if isinstance(policy, Mapping):
        return dumps(dict(policy), default=repr)
    try:
        found = stat(policy)
    except (OSError, TypeError, ValueError):
        return policy
    return fspath(policy), found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
