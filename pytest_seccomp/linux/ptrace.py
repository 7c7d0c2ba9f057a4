"""ptrace(2), as far as it takes to stop one thread, look at its registers, change some, and let it go.

All that a thread traces is let go by the kernel when that thread ends, wherever the traced threads are: `in_a_thread`
makes use of it. `wait` only looks at statuses (WNOWAIT), so that whoever waits for a process gets its own.

Sources: ptrace(2), waitid(2), kernel/ptrace.c, include/uapi/linux/ptrace.h.
"""

import ctypes
import errno
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import X86_64, native

TELL_OF_EXIT = 0x40  # PTRACE_O_TRACEEXIT
"""Option: the thread stops when it is about to end."""
FOLLOW_THREADS = 0x08  # PTRACE_O_TRACECLONE
"""Option: threads that the thread starts are traced like it."""

EVENT_EXIT = 6
EVENT_STOP = 128
"""Of a stop: it was asked for by `interrupt`, or the whole process is stopped."""

ALL_SIGNALS = 2**64 - 1
CODES_OF_A_STEP = (2, 5)
"""Of a SIGTRAP after `step`: TRAP_TRACE, and SIGTRAP itself at the start of a handler (kernel/signal.c)."""
SYS_SECCOMP = 1
"""Code of a SIGSYS that a filter has sent (siginfo.h)."""

_POKEUSER = 6
_CONT = 7
_SINGLESTEP = 9
_GETREGS = 12
_DETACH = 17
_GETSIGINFO = 0x4202
_GETREGSET = 0x4204
_SETREGSET = 0x4205
_SEIZE = 0x4206
_INTERRUPT = 0x4207
_LISTEN = 0x4208
_GETSIGMASK = 0x420A
_SETSIGMASK = 0x420B

_NT_PRSTATUS = 1
_SIGINFO_LENGTH = 128
_MOST_REGISTERS = 64
_REGISTERS_OF_X86_64 = 27
_REGISTERS_OF_ARM = 18  # of 32 bits, where all others are of 64: what aarch64 gives of a 32-bit thread

_PR_SET_PTRACER = 0x59616D61

_WNOTHREAD = 0x20000000
_WALL = 0x40000000
_STOPS_OF_A_PROCESS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

# Of this thread alone: a child that it does not trace is somebody else's to wait for
_LOOK = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT | _WNOTHREAD | _WALL

_QUICK_LOOKS = 50
_PAUSE = 0.0002  # seconds

_Result = TypeVar("_Result")

if TYPE_CHECKING:
    from ctypes import _CArgObject as Reference  # what ctypes.byref gives


class Stop:
    """Why a traced thread has stopped."""

    __slots__ = ("event", "signal")

    def __init__(self, status: int) -> None:
        self.signal = status & 0xFF
        """Where `event` is 0, the signal that it is about to be given."""
        self.event = status >> 8
        """One of EVENT_*, or 0."""

    @property
    def is_of_the_process(self) -> bool:
        """Whether the process is stopped as a whole, as by SIGSTOP, and this is no stop of the tracer's."""
        return self.event == EVENT_STOP and self.signal in _STOPS_OF_A_PROCESS

    @property
    def passed_on(self) -> int:
        """The signal to let the thread go with, so that it gets what it would have got; 0 for none."""
        return 0 if self.event else self.signal


def seize(tid: int, options: int) -> None:
    """Begin to trace a thread, which runs on. Raises OSError: EPERM where it is not permitted, where somebody else
    traces it, or where it ends just now; ESRCH."""
    _request(_SEIZE, tid, 0, options)


def permit(tracer: int) -> None:
    """Let a process, and what it forks, trace this one, though it is no ancestor: under Yama it may not otherwise, by
    default (PR_SET_PTRACER(2const)). Without Yama nothing is changed."""
    try:
        raw.syscall("prctl", native().prctl, _PR_SET_PTRACER, tracer, 0, 0, 0)
    except OSError:
        pass  # EINVAL: there is no Yama


def interrupt(tid: int) -> None:
    """Have a traced thread stop at the latest before it goes on in its program. A call that can be interrupted is."""
    _request(_INTERRUPT, tid, 0, 0)


def resume(tid: int, number: int = 0) -> None:
    """Let a stopped thread go on, with a signal."""
    _request(_CONT, tid, 0, number)


def step(tid: int, number: int) -> None:
    """Let a stopped thread go on with a signal, until the start of the handler, or the next instruction where there is
    none. It stops with SIGTRAP then."""
    _request(_SINGLESTEP, tid, 0, number)


def leave_stopped(tid: int) -> None:
    """Let a thread whose process is stopped as a whole be so until a SIGCONT, as without being traced."""
    _request(_LISTEN, tid, 0, 0)


def detach(tid: int, number: int = 0) -> None:
    """Let a stopped thread go, with a signal."""
    _request(_DETACH, tid, 0, number)


def signal_mask(tid: int) -> int:
    """The signals that a stopped thread blocks: the bit `number - 1` for each."""
    buffer = ctypes.create_string_buffer(8)
    _request(_GETSIGMASK, tid, 8, buffer)
    return int.from_bytes(buffer.raw, "little")


def set_signal_mask(tid: int, mask: int) -> None:
    """Have a stopped thread block these signals; SIGKILL and SIGSTOP cannot be blocked."""
    _request(_SETSIGMASK, tid, 8, ctypes.create_string_buffer(mask.to_bytes(8, "little"), 8))


def signal_code(tid: int) -> int:
    """si_code of the signal that a stopped thread is about to be given."""
    buffer = ctypes.create_string_buffer(_SIGINFO_LENGTH)
    _request(_GETSIGINFO, tid, 0, buffer)
    _, _, code = struct.unpack_from("=iii", buffer)
    return int(code)


def registers(tid: int) -> list[int]:
    """All general registers of a stopped thread, as `registers` has them."""
    words = ctypes.create_string_buffer(8 * _MOST_REGISTERS)
    if native() is X86_64:
        # Not GETREGSET, which for 32-bit programs gives another structure
        _request(_GETREGS, tid, 0, words)
        return list(struct.unpack_from(f"={_REGISTERS_OF_X86_64}Q", words))
    vector = _Vector(ctypes.cast(words, ctypes.c_void_p), ctypes.sizeof(words))
    _request(_GETREGSET, tid, _NT_PRSTATUS, ctypes.byref(vector))
    if vector.length == 4 * _REGISTERS_OF_ARM:
        return list(struct.unpack_from(f"={_REGISTERS_OF_ARM}I", words))
    return list(struct.unpack_from(f"={vector.length // 8}Q", words))


def set_registers(tid: int, changes: Mapping[int, int]) -> None:
    """Change registers of a stopped thread, by their place in the list."""
    if native() is X86_64:
        for place, value in changes.items():
            # One by one: to write all would also set the segment registers anew, which is not free of effects
            _request(_POKEUSER, tid, 8 * place, value)
        return
    words = registers(tid)
    for place, value in changes.items():
        words[place] = value
    content = struct.pack(f"={len(words)}{'I' if len(words) == _REGISTERS_OF_ARM else 'Q'}", *words)
    buffer = ctypes.create_string_buffer(content, len(content))
    vector = _Vector(ctypes.cast(buffer, ctypes.c_void_p), len(content))
    _request(_SETREGSET, tid, _NT_PRSTATUS, ctypes.byref(vector))


def wait(tid: int, deadline: float) -> Stop | None:
    """The stop that a thread is in or comes to; None where it comes to none before `deadline` (time.monotonic()).
    ProcessLookupError where it has ended, or is not traced by this thread any more."""
    looks = 0
    while True:
        try:
            found = os.waitid(os.P_PID, tid, _LOOK)
        except ChildProcessError:
            found = None
            traced = False
        else:
            traced = found is None or found.si_code == os.CLD_TRAPPED
        if not traced:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), "ptrace")
        if found is not None:
            return Stop(found.si_status)
        if time.monotonic() >= deadline:
            return None
        looks += 1
        _let_others_run(looks)


def wait_for_any() -> tuple[int, Stop] | None:
    """Wait until one of the traced threads stops: which, and why; None once all have ended. The end of a traced thread
    is taken here, and then told to its parent. For a process that has no children."""
    while True:
        try:
            # Once a stop is taken, its signal is lost if this process is killed before it lets the thread go on
            found = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WEXITED | os.WNOWAIT | _WALL)
        except ChildProcessError:
            return None
        if found is None:
            continue
        if found.si_code == os.CLD_TRAPPED:
            return found.si_pid, Stop(found.si_status)
        os.waitid(os.P_PID, found.si_pid, os.WEXITED | os.WNOHANG | _WALL)


def in_a_thread(function: Callable[[], _Result]) -> _Result:
    """Call the function in a thread of its own, and return its result when that thread is gone, and with it all that it
    has traced is let go. Raises what the function raises, and RuntimeError where no thread can be started."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    looks = 0
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        looks += 1
        _let_others_run(looks)
    if errors:
        raise errors[0]
    return results[0]


def _let_others_run(looks: int) -> None:
    """Between one look at something and the next, which comes soon at first: what is waited for takes microseconds."""
    if looks < _QUICK_LOOKS:
        os.sched_yield()
    else:
        time.sleep(_PAUSE)  # also for a thread of lower priority than this one


class _Vector(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _request(request: int, tid: int, address: int, data: "int | ctypes.Array[ctypes.c_char] | Reference") -> None:
    raw.syscall("ptrace", native().ptrace, request, tid, address, data)
