"""The audit session of a process, in processes of their own: there is no way back."""

import subprocess
import sys

import pytest
from child import output

from pytest_seccomp.recorder import session

PACKAGES = session.__file__.rpartition("/pytest_seccomp/")[0]


@pytest.mark.needs("audit")
def test_it_is_begun_once() -> None:
    program = """
        from pytest_seccomp.linux import audit_session
        from pytest_seccomp.recorder.session import own_session
        before, ours = audit_session.current(), own_session()
        print(ours not in (None, before), ours == own_session() == audit_session.current())
    """
    assert output(program) == "True True\n"


@pytest.mark.needs("audit")
def test_a_child_that_was_forked_has_its_own() -> None:
    program = """
        import os
        from pytest_seccomp.recorder.session import own_session
        ours = own_session()
        if not os.fork():
            print(own_session() != ours, flush=True)
            os._exit(0)
        os.wait()
        print(own_session() == ours)
    """
    assert output(program) == "True\nTrue\n"


@pytest.mark.needs("audit")
def test_where_it_is_refused_there_is_none() -> None:
    program = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from pytest_seccomp.linux import audit_session\n"
        "from pytest_seccomp.recorder.session import own_session\n"
        "try: audit_session.begin()\n"  # as a login does
        "except PermissionError: pass\n"
        "print(own_session())"
    )
    without = ["setpriv", "--bounding-set=-audit_control", "--inh-caps=-audit_control"]
    done = subprocess.run([*without, sys.executable, "-I", "-c", program, PACKAGES], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("None\n", "")
