"""The programs of the `ebpf` backend, and the maps in which they count.

Each pytest process that is recorded has a slot. A thread is followed from the marker call on by which its process makes
itself known, with all that it starts; from then on the process itself sets for whom calls count, in its memory. A
thread is known by the address of its struct task_struct: execve does not change it, pid namespaces do not translate it,
and no other thread gets it before the end of this one was seen.

Calls are counted in banks, of which a slot has one for each label that may be current or unread. A word of a bank
counts the calls with one number; those with other numbers, or of another architecture, are rare and counted in a hash.
Counts grow and are never reset: between reading and resetting some could be lost.
"""

from __future__ import annotations

from pytest_seccomp.linux import bpf
from pytest_seccomp.linux.bpf_assembler import (
    GET_CURRENT_COMM,
    GET_CURRENT_PID_TGID,
    GET_CURRENT_TASK,
    MAP_DELETE,
    MAP_LOOKUP,
    MAP_UPDATE,
    PROBE_READ_KERNEL,
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    R9,
    Assembler,
    Register,
    Variable,
)
from pytest_seccomp.recorder.labels import FIRST_TEST, PHASES

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.architecture import NativeArchitecture
    from pytest_seccomp.linux.bpf_registers import EntryLayout

RING = 16
"""How many tests have banks at a time: so many may begin before the first of them has been read."""
AHEAD = RING // 2
"""By how many tests pytest may be ahead of the recorder, which reads the banks of a test once more so many tests later:
after that they are free."""

BANKS = FIRST_TEST + RING * len(PHASES)
WORDS = 512
"""Of a bank. Those from `NUMBERS` on do not count the calls of a number, but:"""
NUMBERS = 508
MARKERS = 508
"""the marker calls of the slot, in its first bank;"""
UNFOLLOWED = 509
"""threads that are not followed, because there is no room for them;"""
RARE = 510
"""calls that are counted among the rare ones;"""
RARE_LOST = 511
"""calls that are not, because there is no room for them."""

SLOTS = 32
_TASKS = 32768
_RARE = 16384
_CALLERS = 4096

COMM_LENGTH = 16
"""TASK_COMM_LEN: bytes of a thread's name, with a zero at the end."""


def bank_of(label: int) -> int:
    """The bank, of a slot, in which the calls of a label are counted."""
    return label if label < FIRST_TEST else FIRST_TEST + (label - FIRST_TEST) % (BANKS - FIRST_TEST)


def first_word(slot: int, bank: int) -> int:
    """The index of a bank's first word."""
    return (slot * BANKS + bank) * WORDS


class Maps:
    """What the programs know and count. All are made here, or those of another process are found by their ids."""

    __slots__ = ("callers", "current", "rare", "slots", "tasks", "watched", "words")

    def __init__(self, ids: list[int] | None = None) -> None:
        """Raises OSError."""
        left = list(ids or [])

        def new(kind: int, key_size: int, entries: int, name: str, flags: int = 0, value_size: int = 8) -> bpf.Map:
            if ids is not None:
                return bpf.Map.of_id(left.pop(0), key_size, value_size)
            return bpf.Map.create(kind, key_size, value_size, entries, flags=flags, name=name)

        self.tasks = new(bpf.HASH, 8, _TASKS, "seccomp_tasks")
        """By a thread's address: its slot."""
        self.slots = new(bpf.HASH, 8, SLOTS, "seccomp_slots")
        """By a process's cookie: its slot."""
        self.current = new(bpf.ARRAY, 4, 2 * SLOTS, "seccomp_current", bpf.MMAPABLE)
        """By slot: the first word of the bank in which it counts now, which its pytest process sets in its memory. From
        SLOTS on, by slot: the first label of the test that has begun last, as far as its recorder has read."""
        self.words = new(bpf.ARRAY, 4, SLOTS * BANKS * WORDS, "seccomp_words", bpf.MMAPABLE)
        """The banks."""
        self.rare = new(bpf.HASH, 16, _RARE, "seccomp_rare")
        """By the first word of a bank, and by architecture and number as in seccomp_data: how often."""
        self.watched = new(bpf.ARRAY, 4, SLOTS * WORDS, "seccomp_watched")
        """By slot and number, as in a bank: 1 where it is asked who makes that call. At `RARE`, for all of its kind."""
        self.callers = new(bpf.HASH, 16, _CALLERS, "seccomp_callers", value_size=8 + COMM_LENGTH)
        """By bank and call, as in `rare`: process and thread, and the thread's name, of whoever made the first of these
        calls since it was deleted."""

    def all(self) -> tuple[bpf.Map, ...]:
        """In the order of the ids."""
        return self.tasks, self.slots, self.current, self.words, self.rare, self.watched, self.callers


class _Code(Assembler):
    """What the programs have in common."""

    def __init__(self, maps: Maps) -> None:
        super().__init__()
        self.maps = maps
        self.task, self.slot, self.index, self.one = (self.variable(size) for size in (8, 8, 4, 8))
        self.caller = self.variable(8 + COMM_LENGTH)

    def look_up(self, table: bpf.Map, key: Variable, otherwise: str) -> None:
        """R0 points to the value of a key, or else go on elsewhere."""
        self.call(MAP_LOOKUP, table, key)
        self.jump_if(R0, "==", 0, otherwise)

    def count(self, word: Register, offset: int = 0) -> None:
        """Add 1 to a word, so many behind that with the index in a register, and end."""
        self.copy(R1, word)
        self.compute(R1, "+", offset)
        self.store(self.index, R1)
        self.call(MAP_LOOKUP, self.maps.words, self.index)
        self.jump_if(R0, "==", 0, "leave")
        self.set(R1, 1)
        self.add_atomically(R0, R1)
        self.jump("leave")

    def jump_unless_watched(self, slot: Register, bank: Register, word: Register | int, otherwise: str) -> None:
        """Go on elsewhere where it is not asked who makes a call, by its word in `watched`; of the harness, whose bank
        is the first of a slot, it never is."""
        self.copy(R1, slot)
        self.compute(R1, "*", BANKS * WORDS)
        self.jump_if(bank, "==", R1, otherwise)
        self.copy(R1, slot)
        self.compute(R1, "*", WORDS)
        self.compute(R1, "+", word)
        self.store(self.index, R1)
        self.look_up(self.maps.watched, self.index, otherwise)
        self.load(R1, R0)
        self.jump_if(R1, "==", 0, otherwise)

    def note_caller(self, key: Variable) -> None:
        """The current thread makes a call, unless an earlier one has."""
        self.call(GET_CURRENT_PID_TGID)
        self.store(self.caller.part(0), R0)
        self.call(GET_CURRENT_COMM, self.caller.part(8), COMM_LENGTH)
        self.call(MAP_UPDATE, self.maps.callers, key, self.caller, bpf.NOEXIST)

    def end(self) -> bytes:
        """The program's end, and the program."""
        self.label("leave")
        self.leave()
        return self.assemble()


def at_entry(maps: Maps, architecture: NativeArchitecture, layout: EntryLayout) -> bytes:
    """For the tracepoint sys_enter: count the call of a thread that is followed; learn from markers whom to follow, and
    which label is current."""
    code = _Code(maps)
    context, number, slot, bank = R6, R7, R8, R9
    cookie, wanted = code.variable(8), code.variable(8)
    key = code.variable(16)
    ours = (architecture.prctl, architecture.sendmsg, architecture.recvmsg)

    code.copy(context, R1)
    code.load(number, context, 8)
    code.call(GET_CURRENT_TASK)
    code.store(code.task, R0)
    code.set(slot, SLOTS)  # none
    code.look_up(maps.tasks, code.task, "not followed")
    code.load(slot, R0)
    for call in ours:
        code.jump_if(number, "==", call, "may be ours")
    code.jump("to be counted")

    code.label("not followed")
    code.jump_if(number, "!=", architecture.prctl, "leave")

    code.label("may be ours")
    _read_argument(code, context, layout.argument_4, cookie)
    code.look_up(maps.slots, cookie, "not ours")
    code.jump_if(number, "!=", architecture.prctl, "leave")  # a message of ours
    code.load(R1, R0)
    code.store(code.slot, R1)
    _read_argument(code, context, layout.argument_2, wanted)
    code.load(R1, code.slot)
    code.jump_if(R1, "==", slot, "a known thread")
    code.copy(slot, R1)
    code.call(MAP_UPDATE, maps.tasks, code.task, code.slot, bpf.ANY)
    code.label("a known thread")
    code.load(bank, wanted)
    code.jump_if(bank, ">=", BANKS, "leave")
    code.store(code.index, slot)
    code.look_up(maps.current, code.index, "leave")
    code.copy(R1, slot)
    code.compute(R1, "*", BANKS)
    code.compute(bank, "+", R1)
    code.compute(bank, "*", WORDS)
    code.store(R0, bank)
    code.compute(R1, "*", WORDS)
    code.count(R1, MARKERS)

    code.label("not ours")
    code.jump_if(slot, "==", SLOTS, "leave")

    code.label("to be counted")
    code.store(code.index, slot)
    code.look_up(maps.current, code.index, "leave")
    code.load(bank, R0)
    if layout.compat_in_task:
        code.load(R3, code.task)
    else:
        code.load(R3, context)
    code.compute(R3, "+", layout.compat_offset)
    code.call(PROBE_READ_KERNEL, code.index, code.index.size, R3)
    code.load(R1, code.index)
    code.jump_if(R1, "&", layout.compat_bit, "of 32 bits")
    code.jump_if(number, ">=", NUMBERS, "rare")
    code.jump_unless_watched(slot, bank, number, "not watched")
    code.store(key.part(0), bank)
    code.set(R1, architecture.audit_arch << 32)
    code.compute(R1, "|", number)
    code.store(key.part(8), R1)
    code.note_caller(key)
    code.label("not watched")
    code.copy(R2, bank)
    code.compute(R2, "+", number)
    code.count(R2)

    code.label("of 32 bits")
    code.set(R1, layout.compat_architecture.audit_arch << 32)
    code.jump("with its architecture")
    code.label("rare")
    code.set(R1, architecture.audit_arch << 32)
    code.label("with its architecture")
    code.compute(number, "<<", 32)
    code.compute(number, ">>", 32)
    code.compute(R1, "|", number)
    code.store(key.part(0), bank)
    code.store(key.part(8), R1)
    code.jump_unless_watched(slot, bank, RARE, "rare and not watched")
    code.note_caller(key)
    code.label("rare and not watched")
    code.look_up(maps.rare, key, "first of its kind")
    code.label("of a known kind")
    code.set(R1, 1)
    code.add_atomically(R0, R1)
    code.label("rare call counted")
    code.count(bank, RARE)

    code.label("first of its kind")
    code.store(code.one, 1)
    code.call(MAP_UPDATE, maps.rare, key, code.one, bpf.NOEXIST)
    code.jump_if(R0, "!=", 0, "not the first, or no room")
    code.count(bank, RARE)
    code.label("not the first, or no room")
    code.look_up(maps.rare, key, "no room")
    code.set(R1, 1)
    code.add_atomically(R0, R1)
    code.count(bank, RARE)
    code.label("no room")
    code.count(bank, RARE_LOST)
    return code.end()


def at_fork(maps: Maps) -> bytes:
    """For the tracepoint sched_process_fork, which comes before the new thread runs: follow it like its parent."""
    code = _Code(maps)
    context, child = R6, code.variable(8)
    code.copy(context, R1)
    code.load(R1, context)
    code.store(code.task, R1)
    code.look_up(maps.tasks, code.task, "leave")
    code.load(R8, R0)
    code.store(code.slot, R8)
    code.load(R1, context, 8)
    code.store(child, R1)
    code.call(MAP_UPDATE, maps.tasks, child, code.slot, bpf.ANY)
    code.jump_if(R0, "==", 0, "leave")
    code.store(code.index, R8)
    code.look_up(maps.current, code.index, "leave")
    code.load(R2, R0)
    code.count(R2, UNFOLLOWED)
    return code.end()


def at_exit(maps: Maps) -> bytes:
    """For the tracepoint sched_process_exit, after which a thread makes no call: forget it."""
    code = _Code(maps)
    code.load(R1, R1)
    code.store(code.task, R1)
    code.look_up(maps.tasks, code.task, "leave")  # what deleting needs a lock for
    code.call(MAP_DELETE, maps.tasks, code.task)
    return code.end()


def _read_argument(code: Assembler, context: Register, offset: int, variable: Variable) -> None:
    """Read an argument of a system call, at its offset in struct pt_regs."""
    code.load(R3, context)
    code.compute(R3, "+", offset)
    code.call(PROBE_READ_KERNEL, variable, variable.size, R3)
