"""Where a trace is read from the kernel's log, and policies have a listener: a call for which the kernel asks is not
logged. So what the listener's recorder has let pass is counted there, and handed over to the trace."""

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.plugin.tracing import Tracing


class HandOver:
    """Called when the run of a test ends, before the trace's recorder is told."""

    def __init__(self, asked: Tracing, traced: Tracing) -> None:
        self._asked = asked
        self._traced = traced

    def __call__(self) -> None:
        if self._asked.client.is_silent:
            return
        try:
            (counted,) = self._asked.client.request("counted", self._asked.base)
        except RecorderError:
            return  # it has died, for which the session stops
        for offset, counts in enumerate(counted):  # type: ignore[arg-type,var-annotated]
            if counts:
                self._traced.client.send("count", self._traced.base + offset, counts)
