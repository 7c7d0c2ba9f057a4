"""Verdicts that only the kernel can give, for 32-bit programs on aarch64: their registers are another structure."""

import platform
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import i386
import pytest
from supervised import Supervised

pytestmark = [
    pytest.mark.needs("listener"),
    pytest.mark.skipif(platform.machine() != "aarch64", reason="32-bit programs of arm run on aarch64 only"),
]

EM_ARM, EABI_5 = 40, 0x05000000
SCHED_YIELD, EXIT = 158, 1

EXECUTE = """
    def the_program():
        os.execv(settings["path"], [settings["path"]])
"""


def arm(number: int) -> bytes:
    words = [0xE3A00000 | register << 12 for register in range(6)]  # mov r0, #0 ...
    return struct.pack("<8I", *words, 0xE3A07000 | number, 0xEF000000)  # mov r7, #number; svc 0


def thumb(number: int) -> bytes:
    words = [0x2000 | register << 8 for register in range(6)]  # movs r0, #0 ...
    return struct.pack("<8H", *words, 0x2700 | number, 0xDF00)  # movs r7, #number; svc 0


@pytest.mark.parametrize("call", [arm, thumb])
@pytest.mark.parametrize("action", ["kill_process", "kill_thread", "trap"])
def test_a_program_of_32_bits(tmp_path: Path, action: str, call: Callable[[int], bytes]) -> None:
    path = tmp_path / "program"
    code = call(SCHED_YIELD) + call(EXIT)
    path.write_bytes(i386.executable(EM_ARM, code, EABI_5, mode=call is thumb))
    path.chmod(0o755)
    ended = Supervised(EXECUTE, {"arm:sched_yield": action}).both(path=str(path))
    assert ended.status == signal.SIGSYS
    assert ended.records == [[action, True, "sched_yield"]]
