"""--seccomp-update-profile: the file is made, and then only added to, by one process and as a whole."""

import json
import re
import signal

import profiles
import pytest
from running import Run
from traced import Suite

from pytest_seccomp.linux.syscalls import all_names

pytestmark = pytest.mark.needs("listener")

OPTIONS = ["--seccomp-profile=profile.json", "--seccomp-update-profile"]

TESTS = """
    import os
    import pytest

    def test_a():
        os.getsid(0)

    def test_b():
        os.getpgid(0)

    def test_failed():
        os.getpriority(os.PRIO_PROCESS, 0)
        os.getsid(0)
        raise AssertionError
"""


def test_a_profile_is_made_and_then_only_added_to(suite: Suite) -> None:
    """By the controller, once; and what is there, and unknown to us, stays as it was written."""
    suite.write("test_one.py", TESTS)
    first = suite.run(*OPTIONS, "-k", "test_a and not failed", "--seccomp-profile-collection").expect(0)
    assert "seccomp: the profile profile.json will be made from what the tests call" in first.stdout
    profile = suite.folder / "profile.json"
    document = json.loads(profile.read_text())
    assert list(document) == ["defaultAction", "defaultErrnoRet", "architectures", "syscalls"]
    assert {"getsid", "openat"} < {*profiles.names(profile)}
    assert "getpgid" not in profiles.names(profile)
    document["syscalls"][0]["names"] = sorted(all_names() - {"getpgid", "getpriority"})
    document["x-why"] = [{"a": 1}]
    document["syscalls"].insert(0, {"names": ["ptrace"], "action": "SCMP_ACT_KILL"})
    profile.write_text(json.dumps(document, indent=4) + "\n")
    before = profile.read_text().splitlines()
    second = suite.run(*OPTIONS, "-n2", plugins=["xdist"]).expect(1)  # a test fails by itself
    assert "= seccomp profile profile.json: 1 line added =" in second.stdout
    assert '\n+ "getpgid"\n' in second.stdout
    assert "not added, because only tests made them that have failed: getpriority" in second.stdout
    after = profile.read_text().splitlines()
    assert [line for line in after if line not in before] == ['                "getpgid",']
    assert [line for line in after if line in before] == before
    third = suite.run(*OPTIONS, "-k", "not failed").expect(0)
    assert "= seccomp profile profile.json: nothing to add =" in third.stdout
    assert profile.read_text().splitlines() == after
    suite.run(OPTIONS[0], "-k", "not failed", "-q").expect(0)
    assert sorted(path.name for path in suite.folder.iterdir() if path.is_file()) == [
        "profile.json", "pytest.ini", "test_one.py",
    ]  # fmt: skip


def test_a_trace_is_made_and_added_to_with_its_tests_file(suite: Suite) -> None:
    suite.write("test_one.py", TESTS)
    suite.trace("-k", "test_a and not failed")
    options = ["--seccomp-profile=out.ndjson", "--seccomp-update-profile", "-k", "not failed"]
    finished = suite.run(*options).expect(0)
    assert re.search(r'\+ \{"syscall": \d+, "name": "getpgid", "count": 1, ', finished.stdout)
    suite.run(options[0], "-k", "not failed").expect(0)
    suite.run("--seccomp-profile=other.ndjson", "--seccomp-update-profile", "-k", "not failed").expect(0)
    made = [json.loads(line) for line in (suite.folder / "other.ndjson").read_text().splitlines()]
    assert {"getsid", "getpgid"} <= {record["name"] for record in made}
    assert {record["collection"] for record in made} == {0}
    suite.run("--seccomp-profile=other.ndjson", "-k", "not failed").expect(0)


def test_what_a_profile_cannot_have_fails_the_session(suite: Suite) -> None:
    """It is denied by its name, or has none."""
    profile = profiles.write(
        suite.folder / "profile.json", {"names": ["getsid"], "action": "SCMP_ACT_TRAP"}, defaultAction="SCMP_ACT_ALLOW"
    )
    before = profile.read_bytes()
    suite.write("test_a.py", "import os\ndef test_a(): os.getsid(0)\n")
    finished = suite.run(*OPTIONS).expect(1)
    assert "cannot be added: the profile denies it by its name: change that by hand" in finished.stdout
    assert profile.read_bytes() == before


def test_a_run_that_was_interrupted_adds_nothing(suite: Suite) -> None:
    profile = profiles.all_but(suite.folder / "profile.json", "getsid")
    before = profile.read_bytes()
    suite.write(
        "test_a.py",
        """
        import os, pathlib, time

        def test_a():
            os.getsid(0)

        def test_b():
            pathlib.Path("ready").touch()
            for _ in range(600):  # a signal that comes just before a sleep ends none
                time.sleep(1)
        """,
    )
    with Run(suite, *OPTIONS) as run:
        run.wait_for("ready")
        run.kill(signal.SIGINT)
        finished = run.finish(pytest.ExitCode.INTERRUPTED)
        assert "seccomp profile profile.json: NOT UPDATED" in finished.stdout
        assert "the session was interrupted: profile.json is left as it was" in finished.stdout
        assert finished.stdout.count("the session was interrupted") == 1
        run.expect_nothing_left()
    assert profile.read_bytes() == before
