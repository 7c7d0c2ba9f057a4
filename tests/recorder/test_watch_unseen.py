"""The watch is not in the way of what it watches: no child, no descriptor, and no word of what tests fork."""

from pathlib import Path

import pytest
from watched import run, spooled


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.needs("audit")
def test_no_child_and_one_descriptor(spool: Path) -> None:
    program = """
    before = set(os.listdir("/proc/self/fd"))
    w = watch.start(settings(session.own_session()))
    new = [int(name) for name in set(os.listdir("/proc/self/fd")) - before]
    print(len(new), min(new) > 100, [os.get_inheritable(number) for number in new])
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        print(open(f"/proc/self/task/{os.getpid()}/children").read().split())
    w.close()
    print(set(os.listdir("/proc/self/fd")) == before)
    """
    assert run(program, spool, watched=False) == ["1 True [False]", "[]", "True"]


@pytest.mark.needs("audit")
def test_no_thread_and_no_environment(spool: Path) -> None:
    program = """
    import threading
    before = dict(os.environ)
    w = watch.start(settings(session.own_session()))
    print(os.listdir("/proc/self/task") == [str(os.getpid())], threading.active_count(), dict(os.environ) == before)
    """
    assert run(program, spool, watched=False) == ["True 1 True"]


@pytest.mark.needs("audit")
def test_a_child_that_a_test_forks_is_silent(spool: Path) -> None:
    """Also one that comes back into pytest and goes on as if it were the parent. What it is denied counts."""
    program = """
    w.phase('"t.py::a"', "call", 0)
    pid = os.fork()
    if not pid:
        w.phase('"t.py::child"', "call", 0)
        w.write("of the child")
        call = logged.new_number()
        denying.install(logged.ERRNO | 1, call)
        denying.call(call)
        w.add(1)
        seen = w.sync(), w.finish(), w.close_spool(["of the child"])
        w.merged()
        print(seen == (watch.Seen([], True, []), watch.Seen([], True, []), True), flush=True)
        os._exit(0)
    os.wait()
    seen = w.sync()
    print([one.pid == pid for one in seen.denials], seen.complete)
    w.write('{"parent":1}')
    print(w.finish().complete, w.close_spool([]))
    """
    assert run(program, spool) == ["True", "[True] True", "True True"]
    assert spooled(spool) == [{"parent": 1}, {"kind": "end", "complete": True, "reasons": []}]


@pytest.mark.needs("audit")
def test_a_child_that_pytest_forks_speaks_for_it(spool: Path) -> None:
    """Between the tests, as pytest-forked does."""
    program = """
    w.phase("null", "collection", 0)
    w.sync()
    pid = os.fork()
    if not pid:
        w.phase('"t.py::a"', "call", 0)
        own, call = denying.child()
        print(told(w.sync()) == [(own, call, "errno", 1)], flush=True)
        w.write('{"child":1}')
        os._exit(0)
    os.wait()
    print(w.sync())
    print(w.close_spool([]))
    """
    assert run(program, spool) == ["True", "Seen(denials=[], complete=True, reasons=[])", "True"]
    assert spooled(spool)[0] == {"child": 1}


@pytest.mark.needs("audit")
def test_more_lines_than_a_socket_holds(spool: Path) -> None:
    program = """
    for number in range(20):
        w.write("\\n".join([json.dumps("x" * 1000)] * 1000) + "\\n")
    print(w.close_spool([]))
    """
    assert run(program, spool) == ["True"]
    *lines, end = spool.read_text().splitlines()
    assert lines == [f'"{"x" * 1000}"'] * 20_000
    assert end == '{"kind":"end","complete":true,"reasons":[]}'


@pytest.mark.needs("audit", "listener")
def test_under_a_trace_its_messages_are_in_none(spool: Path) -> None:
    """They carry the trace's cookie."""
    program = """
    from pytest_seccomp.recorder import client, labels, protocol
    trace = sys.argv[1] + ".trace"
    w = watch.start(settings(session.own_session()))
    traced = client.start(protocol.Settings("notify", 12345, os.getpid(), trace, "null", None))
    traced.attach()
    base = labels.FIRST_TEST
    traced.send("begin", base, '"a"', 0)
    traced.mark(base + labels.CALL, ring=True)
    for _ in range(100):
        w.phase('"a"', "call", 0)
        w.write("x" * 1000)
        w.sync()
    traced.mark(labels.HARNESS)
    traced.send("end", base, '"passed"')
    traced.finish()
    print([json.loads(line)["syscalls"] for line in open(trace) if '"test"' in line])
    """
    assert run(program, spool, watched=False) == ["[[]]"]
