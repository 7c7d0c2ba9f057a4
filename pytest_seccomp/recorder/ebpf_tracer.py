"""The programs of the `ebpf` backend in the kernel: loading them, and sharing them among the processes of a run."""

from __future__ import annotations

import errno
import fcntl
import marshal
import mmap
import os
import resource

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import bpf, shared_words
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.bpf_registers import entry_layout
from pytest_seccomp.recorder import ebpf_programs as programs
from pytest_seccomp.recorder.refused import call_of, explained

# In this order: nobody is followed before it is seen who is forked, and who ends
_TRACEPOINTS = ("sched_process_exit", "sched_process_fork", "sys_enter")

_FILE = "ebpf"
"""In the directory of a run's spools: the ids of the maps and links, and the slot that is free."""

_FILE_LENGTH = 4096

_RIGHTS = (
    "run as root in the initial user namespace, or with CAP_BPF and CAP_PERFMON (before Linux 5.8 with CAP_SYS_ADMIN)"
)


class Tracer:
    """The programs, which run until every process that has them has closed them, and what they have counted.

    `words` is that in the kernel's own memory, and `current` are the words of the map of that name.
    """

    def __init__(self, maps: programs.Maps, links: list[int], loaded: list[int]) -> None:
        self.maps = maps
        self._links = links
        self._loaded = loaded
        length = programs.SLOTS * programs.BANKS * programs.WORDS * 8
        self._memory = mmap.mmap(maps.words.descriptor, length, mmap.MAP_SHARED, mmap.PROT_READ)
        self.words = memoryview(self._memory).cast("Q")
        self.current = shared_words.mapped(maps.current.descriptor, 2 * programs.SLOTS)

    @classmethod
    def load(cls) -> Tracer:
        """Load the programs and attach them. Raises BackendError."""
        architecture = native()
        layout = entry_layout(architecture)
        maps = _new_maps()
        codes = programs.at_exit(maps), programs.at_fork(maps), programs.at_entry(maps, architecture, layout)
        loaded: list[int] = []
        links: list[int] = []
        tracepoint = ""
        try:
            for tracepoint, code in zip(_TRACEPOINTS, codes, strict=True):
                loaded.append(bpf.load(bpf.RAW_TRACEPOINT, code, f"seccomp_{tracepoint}"))
                links.append(bpf.attach(tracepoint, loaded[-1]))
            return cls(maps, links, loaded)
        except OSError as error:
            _close(maps, [*links, *loaded])
            raise explain(error, tracepoint) from error

    @classmethod
    def of_ids(cls, maps: list[int], links: list[int]) -> Tracer:
        """Those of another process, as long as it or any other has them. Raises OSError."""
        found = [bpf.link_of_id(link) for link in links]
        return cls(programs.Maps(maps), found, [bpf.program_of_link(link) for link in found])

    def ids(self) -> tuple[list[int], list[int]]:
        """Those of the maps and of the links, by which another process finds them. Raises OSError: links have none
        before Linux 5.8."""
        maps = [bpf.object_id(table.descriptor) for table in self.maps.all()]
        return maps, [bpf.object_id(link) for link in self._links]

    def follow(self, cookie: int, slot: int) -> None:
        """From now on threads are followed that make a marker call with this cookie; they count in a slot of their own.
        Raises OSError."""
        self.maps.current.update(_word(slot, 4), _word(programs.first_word(slot, 0)))
        self.maps.slots.update(_word(cookie), _word(slot))

    def missed_runs(self) -> int:
        """How often the kernel did not run one of the programs for a call, a fork or an end, of anybody. Raises
        OSError."""
        return sum(map(bpf.missed_runs, self._loaded))

    def close(self) -> None:
        """Let go of the programs and maps."""
        self.words.release()
        self._memory.close()
        _close(self.maps, [*self._links, *self._loaded])


def share(directory: str, tracer: Tracer, slot: int) -> tuple[Tracer, int]:
    """The programs that the processes of a run share, and a slot of them in which nobody else counts.

    They are those of the first that comes here: `tracer`, with `slot` as the first one that is free. Whoever may not
    ask the kernel for the programs of another process (CAP_SYS_ADMIN, Linux 5.8) keeps its own.
    """
    try:
        descriptor = os.open(os.path.join(directory, _FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return tracer, slot
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        chosen, free = _shared(os.pread(descriptor, _FILE_LENGTH, 0)) or (tracer, slot)
        try:
            os.pwrite(descriptor, marshal.dumps((*chosen.ids(), free + 1)), 0)
        except OSError:
            return tracer, slot  # nobody knows that a slot of the others is not free any more
        return chosen, free
    finally:
        os.close(descriptor)


def _shared(content: bytes) -> tuple[Tracer, int] | None:
    try:
        maps, links, slot = marshal.loads(content)
    except (ValueError, EOFError, TypeError):
        return None  # nothing is there, or what a process left that was killed in the middle of it
    if slot == programs.SLOTS:
        return None
    try:
        return Tracer.of_ids(maps, links), slot
    except OSError:
        return None  # all that had them have ended, or it is refused


def _close(maps: programs.Maps, descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    for table in maps.all():
        table.close()


def _new_maps() -> programs.Maps:
    try:
        try:
            return programs.Maps()
        except PermissionError as refused:
            # Before Linux 5.11 maps are memory that is locked
            try:
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            except (OSError, ValueError):
                raise refused from None
            return programs.Maps()
    except OSError as error:
        raise explain(error) from error


def explain(error: OSError, tracepoint: str = "") -> BackendError:
    """Why the programs cannot be loaded or attached, and what to do."""
    if call_of(error) not in ("", "bpf"):
        return explained(error)
    if isinstance(error, bpf.VerifierError):
        said = [line for line in error.log.splitlines() if not line.startswith("processed ")] or ["without a reason"]
        return BackendError(
            f"the kernel refuses the program for {tracepoint} ({os.strerror(error.errno or 0)}): {said[-1]}",
            "needs Linux 5.5 or newer, and no lockdown of the level `confidentiality`, which forbids to read the "
            "kernel's memory",
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(f"bpf(2) is refused here ({os.strerror(error.errno)})", _RIGHTS)
    if error.errno == errno.ENOENT and tracepoint:
        return BackendError(
            f"this kernel has no tracepoint {tracepoint}", "needs CONFIG_FTRACE_SYSCALLS and CONFIG_BPF_EVENTS"
        )
    return BackendError(
        f"bpf(2) does not work here ({os.strerror(error.errno or 0)})",
        "needs Linux 5.5 or newer with CONFIG_BPF_SYSCALL",
    )


def _word(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")
