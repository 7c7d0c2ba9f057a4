"""The errors of this project. Each message is one line: what is wrong, where, and what to do."""


class SeccompError(Exception):
    """Base of all errors that this project raises on purpose."""


class BackendError(SeccompError):
    """A backend cannot trace here, for a reason, and that is how to get it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


class UnusableError(BackendError):
    """None of the backends that were tried can trace here; it tells of the last one.

    `failures` has all of them, by name, in the order in which they were tried.
    """

    def __init__(self, failures: list[tuple[str, BackendError]]) -> None:
        last = failures[-1][1]
        super().__init__(last.reason, last.remedy)
        self.failures = failures


class RecorderError(SeccompError):
    """The recorder process could not be started, or does not answer any more."""


class TraceError(SeccompError):
    """A trace file cannot be read or written."""


class PolicyWarning(UserWarning):
    """What a policy does not do, or may not mean, though it, or the profile that it is from, says so."""


class SandboxError(SeccompError):
    """A program cannot be started in a sandbox, or what is asked of it is not known."""
