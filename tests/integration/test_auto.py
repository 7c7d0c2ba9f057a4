"""`auto`: the best backend that works here, and in the header why a better one does not."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from denying import denied
from logged import ERRNO
from ordinary import as_ordinary_user
from running import Run
from traced import Finished, Suite

from pytest_seccomp.linux.architecture import native

AUTO = "--seccomp-backend=auto"
KILL_PROCESS = 0x80000000


@pytest.fixture
def loop(suite: Suite) -> Suite:
    """A test that makes 100 calls."""
    suite.write("test_one.py", "import os\ndef test_one():\n    for _ in range(100): os.getppid()\n")
    return suite


def run(suite: Suite, *options: str, before: Sequence[str] = ()) -> Finished:
    """A run with `auto`, to its end, which leaves nothing behind, and whose counts are right."""
    with Run(suite, "--seccomp-trace=out.ndjson", AUTO, *options, before=before, plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    trace = finished.trace()
    assert trace.complete, trace.run
    assert trace.test("test_one").phase("call")["getppid"] == 100
    return finished


def header(finished: Finished) -> list[str]:
    """Our lines of it."""
    return [line for line in finished.stdout.splitlines() if line.startswith("seccomp: ")]


@pytest.mark.needs("bpf", "mount")
@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_it_is_ebpf_where_that_works(loop: Suite, options: tuple[str, ...]) -> None:
    """It needs no tracefs, and sets no no_new_privs where CAP_SYS_ADMIN is missing: it installs no filter."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /sys/kernel && exec "$@"', "sh"]
    finished = run(loop, *options, before=[*hidden, "setpriv", "--bounding-set=-sys_admin"])
    assert header(finished) == ["seccomp: backend ebpf, trace to out.ndjson"]
    assert finished.trace().run["backend"] == "ebpf"


@pytest.mark.needs("bpf", "listener")
@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (
            ["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin"],
            "bpf(2) is refused here (Operation not permitted)",
        ),
        pytest.param(
            ["unshare", "--user", "--map-root-user"],
            "bpf(2) is refused here (Operation not permitted)",
            marks=pytest.mark.needs("user-namespace"),
        ),
        (denied(native().bpf, ERRNO | errno.EACCES), "bpf(2) is refused here (Permission denied)"),
        (denied(native().bpf, ERRNO | errno.ENOSYS), "bpf(2) does not work here (Function not implemented)"),
        (denied(native().bpf, KILL_PROCESS), "whoever calls bpf(2) is killed here, by signal 31"),
    ],
    ids=["capabilities", "user namespace", "EACCES", "ENOSYS", "killed"],
)
def test_it_goes_on_where_ebpf_is_refused(loop: Suite, before: list[str], reason: str) -> None:
    first, *others = header(run(loop, before=before))
    assert first.startswith("seccomp: backend notify, trace to out.ndjson")
    assert others == [f"seccomp: backend ebpf does not work here: {reason}"]


@pytest.mark.needs("listener", *(["mount"] if os.geteuid() == 0 else []))
@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_it_is_notify_for_an_ordinary_user(loop: Suite, tmp_path: Path, options: tuple[str, ...]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    if os.geteuid() == 0:
        for folder in (tmp_path, loop.folder, temporary):
            folder.chmod(0o777)
    before = as_ordinary_user(tmp_path)
    arguments = ["--seccomp-trace=out.ndjson", AUTO, *options]
    with Run(loop, *arguments, before=before, temporary=temporary, plugins=["xdist"]) as started:
        finished = started.finish(0)
        started.expect_nothing_left()
    first, *others = header(finished)
    assert first.startswith("seccomp: backend notify, trace to out.ndjson")
    assert others == ["seccomp: backend ebpf does not work here: bpf(2) is refused here (Operation not permitted)"]


@pytest.mark.needs("bpf", "user-namespace")
def test_all_are_named_where_none_works(loop: Suite) -> None:
    """Each with its reason and remedy, in one line."""
    before = ["unshare", "--user", "--map-root-user", *denied(native().seccomp, ERRNO | errno.EPERM)]
    with Run(loop, "--seccomp-trace=out.ndjson", AUTO, before=before) as started:
        finished = started.finish(pytest.ExitCode.USAGE_ERROR)
        started.expect_nothing_left()
    (line,) = [line for line in finished.stderr.splitlines() if line]
    for name in ("ebpf: bpf(2) is refused", "notify: seccomp(2) is refused", "audit: ", "kmsg: "):
        assert f"backend {name}" in line
    assert not (loop.folder / "out.ndjson").exists()
