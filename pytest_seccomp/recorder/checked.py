"""What a backend's self-check leaves to the recording that follows."""

from __future__ import annotations

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder.kernel_log import SeccompLog


class Checked:
    """A check that was passed. `notes` is what the user is to know before the run; `log` is the kernel's log, with the
    account of what is missing begun, None for a backend that does not read it."""

    __slots__ = ("log", "notes")

    def __init__(self, notes: list[str], log: SeccompLog | None = None) -> None:
        self.notes = notes
        self.log = log

    def close(self) -> None:
        """There is nothing to record."""
        if self.log is not None:
            self.log.close()
