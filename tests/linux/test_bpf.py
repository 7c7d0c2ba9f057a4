"""bpf(2): maps, the verifier's word on a program, and what is attached as long as somebody has it."""

import ctypes
import errno
import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import logged
import pytest
from child import output

from pytest_seccomp.linux import bpf, raw
from pytest_seccomp.linux.bpf_assembler import MAP_LOOKUP, R0, R1, R2, Assembler

UNKNOWN_CALL = logged.new_number()
"""Nobody else makes it while a test counts it, not even the same test in another run on this machine."""


def word(value: int) -> bytes:
    return struct.pack("=Q", value)


@pytest.fixture
def table() -> Iterator[bpf.Map]:
    """A hash with room for four."""
    made = bpf.Map.create(bpf.HASH, 8, 8, 4, name="longer_than_the_kernel_takes")
    yield made
    made.close()


@pytest.mark.needs("bpf")
def test_a_map_holds_what_it_is_given(table: bpf.Map) -> None:
    assert table.keys() == []
    assert table.lookup(word(1)) is None
    for key in range(4):
        table.update(word(key), word(key + 100))
    table.update(word(3), word(7))
    assert sorted(table.keys()) == sorted(word(key) for key in range(4))
    assert [table.lookup(word(key)) for key in range(4)] == [word(100), word(101), word(102), word(7)]
    table.delete(word(0))
    assert table.lookup(word(0)) is None
    with pytest.raises(FileNotFoundError, match="bpf"):
        table.delete(word(0))


@pytest.mark.needs("bpf")
def test_a_map_that_is_full_and_a_key_that_is_there(table: bpf.Map) -> None:
    for key in range(4):
        table.update(word(key), word(key), bpf.NOEXIST)
    with pytest.raises(OSError, match="bpf") as full:
        table.update(word(4), word(4))
    assert full.value.errno == errno.E2BIG
    with pytest.raises(FileExistsError):
        table.update(word(3), word(3), bpf.NOEXIST)


@pytest.mark.needs("bpf")
def test_the_values_of_an_array_lie_in_memory() -> None:
    array = bpf.Map.create(bpf.ARRAY, 4, 8, 512, flags=bpf.MMAPABLE)
    with mmap.mmap(array.descriptor, 4096, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        array.update(struct.pack("=I", 511), word(2**63))
        assert memory[-8:] == word(2**63)
    array.close()


@pytest.mark.needs("bpf")
def test_a_map_is_found_by_its_id_as_long_as_somebody_has_it(table: bpf.Map) -> None:
    number = bpf.object_id(table.descriptor)
    other = bpf.Map.of_id(number, 8, 8)
    other.update(word(1), word(2))
    other.close()
    assert table.lookup(word(1)) == word(2)
    lonely = bpf.Map.create(bpf.HASH, 8, 8, 4)
    gone = bpf.object_id(lonely.descriptor)
    lonely.close()
    with pytest.raises(FileNotFoundError):
        bpf.Map.of_id(gone, 8, 8)


@pytest.mark.needs("bpf")
def test_the_verifier_says_what_is_wrong() -> None:
    code = Assembler()
    code.copy(R0, R2)
    code.leave()
    with pytest.raises(bpf.VerifierError, match=r"(?s)Permission denied.*R2 !read_ok") as refused:
        bpf.load(bpf.RAW_TRACEPOINT, code.assemble())
    assert refused.value.errno == errno.EACCES
    assert "0: " in refused.value.log


def test_an_error_without_a_log() -> None:
    assert str(bpf.VerifierError(errno.EINVAL, "")) == "[Errno 22] Invalid argument: 'bpf'"


@pytest.mark.needs("bpf")
def test_without_the_right_it_is_refused_and_no_verifier_asked() -> None:
    program = """
        import os
        from pytest_seccomp.linux import bpf
        from pytest_seccomp.linux.bpf_assembler import Assembler
        os.setuid(65534)
        code = Assembler()
        code.leave()
        for attempt in (
            lambda: bpf.Map.create(bpf.ARRAY, 4, 8, 512, flags=bpf.MMAPABLE),
            lambda: bpf.load(bpf.RAW_TRACEPOINT, code.assemble()),
            lambda: bpf.link_of_id(1),
        ):
            try:
                attempt()
                print("done")
            except OSError as error:
                print(type(error).__name__, error.filename)
    """
    refused = output(program).splitlines()
    assert refused[1:] == ["PermissionError bpf"] * 2
    if int(Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text()):
        assert refused[0] == "PermissionError bpf"


@pytest.mark.needs("bpf")
def test_a_tracepoint_that_the_kernel_does_not_have() -> None:
    code = Assembler()
    code.leave()
    program = bpf.load(bpf.RAW_TRACEPOINT, code.assemble(), "nothing")
    with pytest.raises(FileNotFoundError):
        bpf.attach("no_such_tracepoint", program)
    os.close(program)


@pytest.mark.needs("bpf")
def test_a_program_runs_as_long_as_somebody_has_its_link() -> None:
    counter = bpf.Map.create(bpf.ARRAY, 4, 8, 1)
    program = bpf.load(bpf.RAW_TRACEPOINT, counting(counter), "counting")
    link = bpf.attach("sys_enter", program)
    made(100)
    assert counter.lookup(bytes(4)) == word(100)
    other = bpf.link_of_id(bpf.object_id(link))
    same = bpf.program_of_link(other)
    assert bpf.object_id(same) == bpf.object_id(program)
    assert bpf.missed_runs(same) == 0
    for descriptor in (program, link):
        os.close(descriptor)
    made(10)
    assert counter.lookup(bytes(4)) == word(110)
    for descriptor in (same, other):
        os.close(descriptor)
    made(10)
    assert counter.lookup(bytes(4)) == word(110)
    counter.close()


@pytest.mark.needs("c-compiler")
def test_what_is_read_of_a_program_is_where_the_kernel_writes_it(tmp_path: Path) -> None:
    members = ("bpf_prog_info, id", "bpf_map_info, id", "bpf_link_info, id", "bpf_link_info, prog_id")
    source = tmp_path / "offsets.c"
    source.write_text(
        "#include <linux/bpf.h>\n#include <linux/version.h>\n"
        "#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n"
        + "".join(f'printf("%zu ", offsetof(struct {member}));\n' for member in members)
        + "#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)\n"
        + 'printf("%zu", offsetof(struct bpf_prog_info, recursion_misses));\n#endif\n}\n'
    )
    subprocess.run(["gcc", "-o", tmp_path / "offsets", source], check=True)
    printed = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True).stdout
    assert printed.split() in (["4", "4", "4", "8", "208"], ["4", "4", "4", "8"])


def counting(counter: bpf.Map) -> bytes:
    """A program that counts the unknown call."""
    code = Assembler()
    key = code.variable(4)
    code.load(R2, R1, 8)
    code.jump_if(R2, "!=", UNKNOWN_CALL, "leave")
    code.store(key, 0)
    code.call(MAP_LOOKUP, counter, key)
    code.jump_if(R0, "==", 0, "leave")
    code.set(R1, 1)
    code.add_atomically(R0, R1)
    code.label("leave")
    code.leave()
    return code.assemble()


def made(count: int) -> None:
    """Make the unknown call."""
    call, number = raw.function(), raw.Word(UNKNOWN_CALL)
    for _ in range(count):
        assert call(number) == -1
        assert ctypes.get_errno() == errno.ENOSYS
