"""Calls of other architectures, new calls, and numbers that nobody knows, from the kernel to the files."""

import platform

import i386
import pytest
from traced import Suite, Trace, key

pytestmark = pytest.mark.needs("listener")

X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of another architecture are known for x86-64")

# Calls that came with Linux 6.8 to 6.18, of one number on every architecture (scripts/syscall.tbl).
NEWEST = {
    457: "statmount",
    458: "listmount",
    459: "lsm_get_self_attr",
    460: "lsm_set_self_attr",
    461: "lsm_list_modules",
    462: "mseal",
    463: "setxattrat",
    464: "getxattrat",
    465: "listxattrat",
    466: "removexattrat",
    467: "open_tree_attr",
    468: "file_getattr",
    469: "file_setattr",
}


def entry(trace: Trace, call: str) -> dict[str, object]:
    """The record of a call in PATH, by its key in Counts."""
    found = [record for record in trace.records if key(record) == call]
    assert len(found) == 1, trace.records
    return found[0]


@pytest.mark.needs("i386")
def test_a_32_bit_call_of_a_64_bit_process(suite: Suite) -> None:
    """int 0x80 is a call of i386, whoever makes it."""
    suite.write(
        "test_int80.py",
        """
        import ctypes, mmap, os

        GETPID = 20  # on i386; on x86-64 it is writev
        CODE = (
            b"\\x53"  # push rbx, which is the caller's
            b"\\xb8" + GETPID.to_bytes(4, "little") +  # mov eax
            b"\\xcd\\x80"  # int 0x80
            b"\\x5b\\xc3"  # pop rbx; ret
        )
        MEMORY = mmap.mmap(-1, len(CODE), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        MEMORY.write(CODE)
        CALL = ctypes.PYFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(MEMORY)))

        def test_int80():
            for _ in range(1000):
                assert CALL() > 0
        """,
    )
    trace = suite.trace()
    assert trace.test("test_int80").phases == {"call": {"i386:getpid": 1000}}
    assert entry(trace, "i386:getpid") == {
        "syscall": 20, "name": "getpid", "count": 1000, "arch": "i386", "tests": 1, "collection": 0,
    }  # fmt: skip


@pytest.mark.needs("i386")
def test_a_32_bit_program(suite: Suite) -> None:
    getpid, getppid, restart = 20, 64, 0
    calls = 300 * [getpid] + 200 * [getppid] + [restart, 1000] + list(NEWEST)
    program = i386.write_program(suite.folder / "program", calls)
    suite.write(
        "test_program.py", f"import subprocess\ndef test_program(): subprocess.run([{str(program)!r}], check=True)\n"
    )
    trace = suite.trace()
    made = trace.test("test_program").phase("call")
    assert made["execve"] == 1  # of this architecture: it is the program's parent that makes it
    assert {call: count for call, count in made.items() if call.startswith("i386:")} == {
        "i386:getpid": 300,
        "i386:getppid": 200,
        "i386:restart_syscall": 1,
        "i386:1000": 1,
        "i386:exit": 1,
        **{f"i386:{name}": 1 for name in NEWEST.values()},
    }
    assert (entry(trace, "i386:getpid")["syscall"], entry(trace, "i386:1000")["name"]) == (getpid, None)


CALLER = """
    import ctypes

    libc = ctypes.CDLL(None)

    def call(number):
        # Arguments that no call can do anything with
        nothing = ctypes.c_ulong(2**64 - 1)
        libc.syscall(ctypes.c_long(number), nothing, nothing, nothing, nothing, nothing, nothing)
"""


def test_new_calls_have_their_names(suite: Suite) -> None:
    suite.write("caller.py", CALLER)
    suite.write(
        "test_new.py",
        f"""
        from caller import call

        def test_new():
            for number in {list(NEWEST)}:
                for _ in range(number - 450):
                    call(number)
        """,
    )
    trace = suite.trace()
    expected = {name: number - 450 for number, name in NEWEST.items()}
    made = trace.test("test_new").phase("call")
    assert {name: made.get(name) for name in expected} == expected
    assert {record["name"]: record["syscall"] for record in trace.records if record["name"] in expected} == {
        name: number for number, name in NEWEST.items()
    }


@pytest.mark.parametrize("number", [5000, 100000, 0x3FFFFFFF, -1, -5000])
def test_a_number_that_nobody_knows_has_no_name(suite: Suite, number: int) -> None:
    suite.write("caller.py", CALLER)
    suite.write(
        "test_unknown.py", f"from caller import call\ndef test_unknown():\n    for _ in range(7): call({number})\n"
    )
    trace = suite.trace()
    assert trace.test("test_unknown").phase("call")[str(number)] == 7
    assert entry(trace, str(number)) == {
        "syscall": number, "name": None, "count": 7, "arch": platform.machine(), "tests": 1, "collection": 0,
    }  # fmt: skip


@X86_64
def test_calls_of_x32(suite: Suite) -> None:
    # The kernel need not know x32: the filter sees the number as it was asked for
    suite.write("caller.py", CALLER)
    suite.write(
        "test_x32.py", "from caller import call\ndef test_x32():\n    for _ in range(7): call(0x40000000 + 110)\n"
    )
    trace = suite.trace()
    assert trace.test("test_x32").phase("call")["x32:getppid"] == 7
    assert entry(trace, "x32:getppid")["syscall"] == 0x40000000 + 110
