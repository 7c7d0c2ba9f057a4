"""The errors of this project. Each message is one line: what is wrong, where, and what to do."""


class SeccompError(Exception):
    """Base of all errors that this project raises on purpose."""


class BackendError(SeccompError):
    """A backend cannot trace here: the message says why and names the remedy."""


class RecorderError(SeccompError):
    """The recorder process could not be started, or does not answer any more."""


class TraceError(SeccompError):
    """A trace file cannot be read or written."""
