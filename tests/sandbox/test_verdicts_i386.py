"""Verdicts that only the kernel can give, for 32-bit calls: their sixth argument is ebp."""

import signal
import subprocess
from pathlib import Path

import i386
import pytest
from supervised import Supervised

from pytest_seccomp.linux import syscalls

I386 = 0x40000003

pytestmark = [pytest.mark.needs("listener"), pytest.mark.needs("i386")]

ACTIONS = ("kill_process", "kill_thread", "trap")

EXECUTE = """
    def the_program():
        say("before")
        os.dup2(writing, 1)
        os.execv(settings["path"], [settings["path"]])
"""


@pytest.mark.parametrize("action", ACTIONS)
def test_a_program_of_32_bits(tmp_path: Path, action: str) -> None:
    number = syscalls.numbers_of("sched_yield", I386)[0]
    path = i386.write_program(tmp_path / "program", [number])
    ended = Supervised(EXECUTE, {"i386:sched_yield": action}).both(path=str(path))
    assert (ended.status, ended.said) == (signal.SIGSYS, ["before"])
    assert ended.records == [[action, True, "sched_yield"]]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_call_of_32_bits_in_a_program_of_64(action: str) -> None:
    """By int $0x80: its registers have 64 bits all the same."""
    program = """
        def the_program():
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            # push rbx; push rbp; xor r9d, r9d; mov eax, 158 (sched_yield); mov ebp, 0x55667788; int 0x80; mov ecx, ebp;
            # pop rbp; pop rbx; shl rcx, 32; or rax, rcx; ret
            page[:29] = bytes.fromhex("53 55 4531c9 b89e000000 bd88776655 cd80 89e9 5d 5b 48c1e120 4809c8 c3")
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            catch()
            say(hex(ctypes.CFUNCTYPE(ctypes.c_ulong)(address)()))
    """
    ended = Supervised(program, {"i386:sched_yield": action}).both()
    assert ended.records == [[action, True, "sched_yield"]]
    if action != "trap":
        assert (ended.status, ended.said) == (signal.SIGSYS, [])
        return
    assert (ended.status, ended.said[0]) == (0, "SIGSYS 31 errno 0 code 1 call 158 arch 0x40000003")
    assert "rbp True rax 158 address True" in ended.said[1]
    assert ended.said[2] == "0x556677880000009e"


# Calls of 32 bits in C, without any library: by int $0x80, or as the vDSO does it (sysenter). The handler of SIGSYS
# tells what it sees; behind the call, what its result and ebp are.
SOURCE = r"""
typedef unsigned long word;
extern word vdso, call6(word way, word number, word a, word b, word c, word d, word e, word f);
word vdso, after;
__asm__(
    ".globl _start\n_start: mov %esp, %eax; push %eax; call entry\n"
    ".globl call6\ncall6: push %ebp; push %ebx; push %esi; push %edi\n"
    "mov 24(%esp), %eax; mov 28(%esp), %ebx; mov 32(%esp), %ecx; mov 36(%esp), %edx; mov 40(%esp), %esi;\n"
    "mov 44(%esp), %edi; mov 48(%esp), %ebp; cmpl $0, 20(%esp); jne 1f; int $0x80; jmp 2f; 1: call *vdso\n"
    "2: mov %ebp, after; pop %edi; pop %esi; pop %ebx; pop %ebp; ret\n"
    ".globl back\nback: mov $173, %eax; int $0x80\n");
extern void back(void);

static void say(const char *name, word value) {
    char line[32];
    int n = 0;
    while (*name) line[n++] = *name++;
    line[n++] = ' ';
    for (int shift = 28; shift >= 0; shift -= 4) line[n++] = "0123456789abcdef"[value >> shift & 15];
    line[n++] = '\n';
    call6(0, 4, 1, (word)line, n, 0, 0, 0);
}

static void handler(int number, word *info, word *context) {
    word *registers = context + 5; /* flags, link, stack (3 words): gs fs es ds edi esi ebp esp ebx .. */
    say("signal", number), say("errno", info[1]), say("code", info[2]);
    say("address", info[3] == registers[14]), say("call", info[4]), say("arch", info[5]);
    say("ebp", registers[6]), say("eax", registers[11]);
}

void entry(word *stack) {
    word action[5] = {(word)handler, 4 | 0x04000000 /* SIGINFO, RESTORER */, (word)back, 0, 0};
    word *at = stack + *stack + 2;
    while (*at++);
    for (; *at; at += 2) if (*at == 32) vdso = at[1]; /* AT_SYSINFO */
    call6(0, 174, 31, (word)action, 0, 8, 0, 0);
    for (word way = 0; way <= (vdso != 0); way++) {
        say("way", way);
        word result = call6(way, 158, 1, 2, 3, 4, 5, 0x55667788), ebp = after; /* say makes calls, too */
        say("result", result), say("after", ebp);
    }
    call6(0, 1, 0, 0, 0, 0, 0, 0);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled."""
    folder = tmp_path_factory.mktemp("i386")
    source, path = folder / "program.c", folder / "program"
    source.write_text(SOURCE)
    options = ["-m32", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector", "-O1"]
    subprocess.run(["cc", *options, "-o", path, source], check=True)
    return path


@pytest.mark.needs("c-compiler")
@pytest.mark.parametrize("action", ACTIONS)
def test_both_ways_into_the_kernel(program: Path, action: str) -> None:
    ended = Supervised(EXECUTE, {"i386:sched_yield": action}).both(path=str(program))
    if action != "trap":
        assert (ended.status, ended.said) == (signal.SIGSYS, ["before", "way 00000000"])
        return
    seen = [
        "signal 0000001f", "errno 00000000", "code 00000001", "address 00000001", "call 0000009e", "arch 40000003",
        "ebp 55667788", "eax 0000009e", "result 0000009e", "after 55667788",
    ]  # fmt: skip
    ways = [line for line in ended.said if line.startswith("way")]
    assert ways in (["way 00000000"], ["way 00000000", "way 00000001"])
    assert ended.status == 0
    assert ended.said[: 2 + len(seen)] == ["before", "way 00000000", *seen]
    assert ended.records == [[action, True, "sched_yield"]] * len(ways)
