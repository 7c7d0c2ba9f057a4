"""The hooks of a traced process: they say for whom its system calls count."""

import contextlib
import functools
import json
from collections.abc import Callable, Generator, Iterator

import pytest

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.plugin.headroom import make_room
from pytest_seccomp.plugin.outcome import Outcome
from pytest_seccomp.recorder import client, labels, protocol


class Tracing:
    """Markers around what counts for a test, for the collection, and for wider fixtures; the rest is the harness's.

    The wrappers are the innermost ones (trylast), so that capturing, logging and reporting are not in a test's trace.
    """

    def __init__(self, connection: client.Client) -> None:
        self._client = connection
        self._base = 0
        self._nodeid = ""
        self._rerun = 0
        self._outcome = Outcome()
        self._outer: list[int] = []
        self._room: object = None
        self._is_last = False

    @classmethod
    def start(cls, config: pytest.Config, settings: protocol.Settings) -> "Tracing":
        """Start a recorder and come under its filter. Raises SeccompError."""
        connection = client.start(settings)
        try:
            connection.attach()
        except BaseException:
            connection.close()
            raise
        tracing = cls(connection)
        config.pluginmanager.register(tracing, "seccomp-tracing")
        config.add_cleanup(connection.close)
        return tracing

    @property
    def notes(self) -> list[str]:
        """What the user should know of the backend before anything runs."""
        return self._client.notes

    @property
    def died(self) -> str | None:
        """That the recorder has died, in words, or None."""
        return None if self._client.alive else self._client.end

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Calls in here are the collection's."""
        self._client.mark(labels.COLLECTION)
        try:
            yield
        finally:
            self._client.mark(labels.HARNESS)

    def finish(self) -> list[str]:
        """Have the recorder write all that it has. Returns the reasons for the trace to be incomplete that are not in
        the spool."""
        try:
            reasons = self._client.finish()[3]
        except RecorderError as error:
            return [str(error)]
        return [str(reason) for reason in reasons]  # type: ignore[attr-defined]

    def merged(self) -> None:
        """The run has its files, or will have none: nobody has to write them in our place."""
        self._client.send("merged")
        self._client.ring()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(self) -> Generator[None, object, object]:
        with self.collecting():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_collection_modifyitems(self) -> Generator[None, None, None]:
        with self.collecting():
            return (yield)

    def pytest_collection_finish(self) -> None:
        self._client.send("collected")
        self._client.ring()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # The label is taken here, not in setup: pytest-forked runs what is inside of this in a child
        self._nodeid = item.nodeid
        self._rerun = -1
        self._next_run()
        # pytest takes what it is to call when it sets the item up, and calls it last of all that is the item's alone
        item.teardown = functools.partial(self._tear_down, item.teardown)  # type: ignore[method-assign]
        try:
            result = yield
            # Not where a KeyboardInterrupt or pytest.exit() cuts it off: then it is written as a test that did not end
            self._end_run()
            return result
        finally:
            del item.teardown
            if self.died and not item.session.shouldstop:
                item.session.shouldstop = f"pytest-seccomp: after {item.nodeid}: {self.died}"

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._outcome.is_known:  # of an earlier run: a plugin runs the test again
            self._end_run()
            self._next_run()
        # pytest-rerunfailures counts on where another worker has crashed
        rerun = max(self._rerun, getattr(item, "execution_count", 1) - 1)
        self._room = make_room()
        self._client.send("begin", self._base, json.dumps(self._nodeid), rerun)
        self._client.mark(self._base + labels.SETUP, ring=True)
        try:
            return (yield)
        finally:
            self._client.mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self._client.mark(self._base + labels.CALL)
        try:
            return (yield)
        finally:
            self._client.mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        self._is_last = nextitem is None or nextitem.parent is not item.parent
        self._client.mark(self._base + labels.TEARDOWN)
        try:
            return (yield)
        finally:
            self._client.mark(labels.HARNESS)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        # Finalizers run from the last to the first: around whatever the fixture itself adds in between
        fixturedef.addfinalizer(self._leave_shared)
        self._enter_shared()
        try:
            value = yield
            if fixturedef.argname == "tmp_path_factory" and isinstance(value, pytest.TempPathFactory):
                # Made when a test first asks for a tmp_path: not for that test alone
                value.getbasetemp()
            return value
        finally:
            self._leave_shared()
            fixturedef.addfinalizer(self._enter_shared)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid == self._nodeid:
            self._outcome.add(report)

    def _tear_down(self, item_teardown: Callable[[], None]) -> None:
        try:
            item_teardown()
        finally:
            if self._is_last:
                # What follows is torn down for the class, the module ... that ends with this test
                self._client.mark(self._base + labels.SHARED)

    def _next_run(self) -> None:
        self._base = labels.next_base(self._base)
        self._rerun += 1
        self._outcome = Outcome()

    def _end_run(self) -> None:
        self._client.send("end", self._base, json.dumps(self._outcome.name))

    def _enter_shared(self) -> None:
        label = self._client.label
        self._outer.append(label)
        if label >= labels.FIRST_TEST:
            self._client.mark(self._base + labels.SHARED)

    def _leave_shared(self) -> None:
        label = self._outer.pop()
        if label != self._client.label:
            self._client.mark(label)
