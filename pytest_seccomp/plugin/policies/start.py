"""What tests ask for when they are collected, policies and blocks, and the recorder that serves it."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from pytest_seccomp.errors import SeccompError, UnusableError
from pytest_seccomp.gate.verdict import FAIL
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.marked import passing
from pytest_seccomp.plugin import parallel, tracing
from pytest_seccomp.plugin.policies import blocks, threads
from pytest_seccomp.plugin.policies.blocks import FIXTURE, Blocks
from pytest_seccomp.plugin.policies.handover import HandOver
from pytest_seccomp.plugin.policies.marked import Markers
from pytest_seccomp.plugin.policies.policing import NAME, Policing
from pytest_seccomp.plugin.policies.rules import Rules
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.unfiltered import ASKED, spawn
from pytest_seccomp.profile import bpf, compiling
from pytest_seccomp.profile.in_process import MARKER, InProcess, together
from pytest_seccomp.recorder import client
from pytest_seccomp.recorder.backends.notify import ANOTHER_LISTENER
from pytest_seccomp.recorder.settings import for_policies, own_cookie

_DECIDES = "notify"
_READ_THE_LOG = ("audit", "kmsg")

_DIED = "the recorder died: from then on nothing that tests forbid is denied"
_NEEDS_NO_LISTENER = "run it outside of that; a traced pytest needs no listener with --seccomp-backend=ebpf"
_NOT_ASKED_FOR = "no test asked for it when the tests were collected"


@dataclass(slots=True)
class _Needs:
    """What the tests ask for."""

    policies: frozenset[InProcess]
    blocks: bool
    """Whether a test uses the fixture seccomp_trace."""


def start(session: pytest.Session) -> None:
    """Have the tests that were collected put under their policies when they run, and their blocks counted."""
    config = session.config
    if config.option.collectonly or config.pluginmanager.has_plugin(NAME):
        return
    markers = Markers()
    needs = _Needs(frozenset(markers.of_all(session.items)), any(map(_uses_blocks, session.items)))
    traced: Tracing | None = config.pluginmanager.get_plugin(tracing.NAME)
    own, rules, reason = None, Rules(FAIL, (), None), _NOT_ASKED_FOR
    try:
        rules = Rules.of(config)
        parallel.refuse(config)
        own = _own_tracing(config, traced, needs)
    except UnusableError as error:
        remedy = _NEEDS_NO_LISTENER if error.reason == ANOTHER_LISTENER else error.remedy
        reason = f"{error.reason}: {remedy}"
    except SeccompError as error:
        reason = str(error)
    decides = traced if traced is not None and traced.client.backend == _DECIDES else own
    if decides is not None and needs.policies:
        threads.warn(config)
    asked = needs.policies if decides is not traced and not _asks_for_all(traced, needs) else None
    config.pluginmanager.register(Policing(config, rules, markers, decides, asked, reason), NAME)
    config.pluginmanager.register(Blocks(_counting(traced, own), reason), blocks.NAME)


def _own_tracing(config: pytest.Config, traced: Tracing | None, needs: _Needs) -> Tracing | None:
    """A recorder for what that of the trace cannot do, None where it can do all. Raises SeccompError."""
    if traced is not None and traced.client.backend == _DECIDES:
        return None
    everything = _asks_for_all(traced, needs)
    if not needs.policies and not everything:
        return None
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise SeccompError("not with a free-threaded Python: run it with PYTHON_GIL=1")
    program = None if everything else _asking(needs.policies)
    connection = client.start(for_policies(beside_a_trace=traced is not None), spawn(config), own_cookie())
    own = Tracing.of(config, connection, ASKED, program)
    own.client.end = _DIED
    if traced is not None and traced.client.backend in _READ_THE_LOG:
        traced.at_end.append(HandOver(own, traced))
    else:
        own.wants = lambda item: MARKER in item.keywords or (everything and _uses_blocks(item))
    return own


def _asking(policies: Iterable[InProcess]) -> bytes:
    """A filter with which the kernel asks for the calls that policies deny, and lets those of our own pass."""
    machine = native()
    program = compiling.program(together([policy.policy(machine) for policy in policies]))
    return passing(machine, own_cookie(), bpf.encoded(bpf.supervised(bpf.decoded(program))))


def _asks_for_all(traced: Tracing | None, needs: _Needs) -> bool:
    """Whether the kernel has to ask for every call: there are blocks, and nobody counts."""
    return needs.blocks and traced is None


def _counting(traced: Tracing | None, own: Tracing | None) -> Sequence[Tracing]:
    """Those with the recorders that count the calls of a block, each some of them."""
    if traced is None:
        return [own] if own is not None else []
    # What the kernel asks for it does not log
    return [traced, own] if own is not None and traced.client.backend in _READ_THE_LOG else [traced]


def _uses_blocks(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())
