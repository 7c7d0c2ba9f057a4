"""The hooks of a traced process: they say for whom its system calls count."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from json import dumps
from os import getpid  # as it is before a test replaces it
from pathlib import Path

import pytest

from pytest_seccomp.errors import BackendError, RecorderError, SeccompError
from pytest_seccomp.linux.headroom import make_room
from pytest_seccomp.plugin.outcome import Outcome
from pytest_seccomp.recorder import client, labels, protocol

__tracebackhide__ = True
"""Of pytest: in its reports of failures that pass through the wrappers in here they are not to be seen."""

NAME = "seccomp-tracing"
"""Of the plugin that has these hooks, where there is a trace."""

_traced: set[int] = set()
"""The pid of this process while a session in it is recorded; a child that was forked has another one."""


class Tracing:
    """Markers around what counts for a test, for the collection, and for wider fixtures; the rest is the harness's.

    The wrappers are the innermost ones (trylast), so that capturing, logging and reporting are not in a test's trace.

    `at_begin` is called, with the number of the run, when the recorder was told that a run of a test begins, and
    `at_end` before it is told of the end.
    """

    def __init__(self, connection: client.Client) -> None:
        self.client = connection
        self.base = 0
        """The first label of the run that goes on, or was the last one."""
        self.wants: Callable[[pytest.Item], bool] = lambda _item: True
        """Whether the recorder is told of a test at all."""
        self.at_begin: list[Callable[[int], None]] = []
        self.at_end: list[Callable[[], None]] = []
        self.at_block: list[Callable[[], None]] = []
        """What is called before a block of the test begins or ends."""
        self.at_leave: list[Callable[[int], None]] = []
        """What is called, with the label, when calls do not count for it any more."""
        self._nodeid = ""
        self._rerun = 0
        self._outcome = Outcome()
        self._has_begun = False
        """Whether the recorder was told that the run which goes on has begun."""
        self._outer: list[int] = []
        self._room: object = None
        self._is_last = False
        self._ended = ""
        """The test whose run has ended last."""
        self._hidden_since = ""

    @classmethod
    def start(cls, config: pytest.Config, settings: protocol.Settings, spawn: client.Spawn) -> "Tracing":
        """Have `spawn` start a recorder, and come under its filter. Raises SeccompError: UnusableError where another
        backend may work."""
        if getpid() in _traced:
            # Sessions of one process have one cookie: the inner one's markers would be the outer one's, too
            raise SeccompError(
                "this process is traced already, by the session in which this one runs: trace only the outer run "
                "(--no-seccomp-trace switches the inner one off)"
            )
        try:
            return cls.of(config, client.start(settings, spawn), NAME)
        except BackendError:
            if settings.spool is not None:  # that of a recorder which was ready, and has nothing to say
                Path(settings.spool).unlink(missing_ok=True)
            raise

    @classmethod
    def of(cls, config: pytest.Config, connection: client.Client, name: str, program: bytes | None = None) -> "Tracing":
        """Come under the filter of a recorder, or under `program`, with which it is asked of some calls only; the hooks
        are registered under a name. Raises SeccompError."""
        try:
            connection.attach(program)
        except BaseException:
            connection.dismiss()
            raise
        _traced.add(getpid())
        config.add_cleanup(lambda: _traced.discard(getpid()))
        tracing = cls(connection)
        config.pluginmanager.register(tracing, name)
        config.add_cleanup(connection.close)
        return tracing

    @property
    def died(self) -> str | None:
        """That the recorder has died, or is told nothing any more, in words; or None."""
        return None if self.client.alive else f"{self.client.end}{self._hidden_since}"

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Calls in here are the collection's."""
        self.client.mark(labels.COLLECTION)
        try:
            yield
        finally:
            self.client.mark(labels.HARNESS)

    def finish(self) -> list[str]:
        """Have the recorder write all that it has. Returns the reasons for the trace to be incomplete that are not in
        the spool."""
        try:
            reasons = self.client.finish()[3]
        except RecorderError as error:
            self._look_for_filter(self._ended)
            return [self.died or str(error)]
        return [str(reason) for reason in reasons]  # type: ignore[attr-defined]

    def merged(self) -> None:
        """The run has its files, or will have none: nobody has to write them in our place."""
        self.client.send("merged")
        self.client.ring()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(self) -> Generator[None, object, object]:
        with self.collecting():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_collection_modifyitems(self) -> Generator[None, None, None]:
        with self.collecting():
            return (yield)

    def pytest_collection_finish(self) -> None:
        self.client.send("collected")
        self.client.ring()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # The label is taken here, not in setup: pytest-forked runs what is inside of this in a child
        self._nodeid = item.nodeid
        self._rerun = -1
        self._next_run()
        self.client.pause(not self.wants(item))
        # pytest takes what it is to call when it sets the item up, and calls it last of all that is the item's alone
        others = vars(item).get("teardown")
        item.teardown = functools.partial(self._tear_down, item.teardown)  # type: ignore[method-assign]
        try:
            result = yield
            # Not where a KeyboardInterrupt or pytest.exit() cuts it off: then it is written as a test that did not end
            self._end_run()
            return result
        finally:
            del item.teardown
            if others is not None:
                item.teardown = others  # type: ignore[method-assign]
            self._look_for_filter(item.nodeid)
            if self.died and not self.client.is_hidden and not item.session.shouldstop:
                item.session.shouldstop = f"pytest-seccomp: after {item.nodeid}: {self.died}"

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._outcome.is_known or self._has_begun:  # an earlier run: a plugin runs the test again
            self._outcome.repeated()
            self._end_run()
            self._next_run()
        # pytest-rerunfailures counts on where another worker has crashed
        rerun = max(self._rerun, getattr(item, "execution_count", 1) - 1)
        self._room = make_room()
        self._begin_run(rerun)
        self._mark(self.base + labels.SETUP, ring=True)
        self._look_for_filter(self._ended)
        try:
            return (yield)
        finally:
            self._mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self._mark(self.base + labels.CALL)
        try:
            return (yield)
        finally:
            self._mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self._is_last = nextitem is None or nextitem.parent is not item.parent
        self._mark(self.base + labels.TEARDOWN)
        try:
            return (yield)
        finally:
            self._mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        # Our own are no part of what is tested
        enter = self._enter_harness if _is_ours(fixturedef) else self._enter_shared
        # Finalizers run from the last to the first: around whatever the fixture itself adds in between
        fixturedef.addfinalizer(self._leave_shared)
        enter()
        try:
            value = yield
            if fixturedef.argname == "tmp_path_factory" and isinstance(value, pytest.TempPathFactory):
                # Made when a test first asks for a tmp_path: not for that test alone
                value.getbasetemp()
            return value
        finally:
            self._leave_shared()
            fixturedef.addfinalizer(enter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid == self._nodeid:
            self._outcome.add(report)

    def _mark(self, label: int, *, ring: bool = False) -> None:
        """From here on calls count for another label."""
        if self.at_leave:
            left = self.client.label
            self.client.mark(labels.HARNESS)  # what is done in here is no test's
            for listen in self.at_leave:
                listen(left)
        self.client.mark(label, ring=ring)

    def _tear_down(self, item_teardown: Callable[[], None]) -> None:
        try:
            item_teardown()
        finally:
            if self._is_last:
                # What follows is torn down for the class, the module ... that ends with this test
                self._mark(self.base + labels.SHARED)

    def _next_run(self) -> None:
        self.base = labels.next_base(self.base)
        self._rerun += 1
        self._outcome = Outcome()
        self._has_begun = False

    def _look_for_filter(self, nodeid: str) -> None:
        """The test that may have installed a filter which hides from the recorder what it is told."""
        if self.client.is_hidden and nodeid and not self._hidden_since:
            self._hidden_since = f" (since {nodeid})"

    def take_up(self) -> None:
        """Have the recorder told of the test that runs, if it was not wanted at its beginning."""
        if self.client.is_paused:
            self.client.pause(False)
            self._begin_run(self._rerun)
            self.client.ring()

    def _begin_run(self, rerun: int) -> None:
        self._has_begun = True
        self.client.send("begin", self.base, dumps(self._nodeid), rerun)
        for listen in self.at_begin:
            listen(rerun)

    def _end_run(self) -> None:
        for listen in self.at_end:
            listen()
        self.client.send("end", self.base, dumps(self._outcome.name))
        self._ended = self._nodeid

    def _enter_shared(self) -> None:
        label = self.client.label
        self._outer.append(label)
        if label >= labels.FIRST_TEST:
            self._mark(self.base + labels.SHARED)

    def _enter_harness(self) -> None:
        label = self.client.label
        self._outer.append(label)
        if label >= labels.FIRST_TEST:
            self._mark(labels.HARNESS)

    def _leave_shared(self) -> None:
        label = self._outer.pop()
        if label != self.client.label:
            self._mark(label)


def _is_ours(fixturedef: pytest.FixtureDef[object]) -> bool:
    return getattr(fixturedef.func, "__module__", None) == __package__
