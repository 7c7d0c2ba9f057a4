"""The environment that a program inherits, as the C library has it."""

from child import output


def test_what_code_in_c_has_changed_is_in_it() -> None:
    program = """
        import ctypes, os, subprocess
        from pytest_seccomp.linux.execution import environment

        os.environ["OF_PYTHON"] = "\\udcff"
        ctypes.CDLL(None).setenv(b"OF_C", b"1=2", 1)
        inherited = subprocess.run(["env", "--null"], capture_output=True).stdout
        found = environment()
        print(found == inherited.split(b"\\0")[:-1], b"OF_C=1=2" in found, b"OF_PYTHON=\\xff" in found)
    """
    assert output(program) == "True True True\n"


def test_none_at_all() -> None:
    program = """
        import ctypes
        from pytest_seccomp.linux.execution import environment

        ctypes.CDLL(None).clearenv()
        print(environment())
    """
    assert output(program) == "[]\n"
