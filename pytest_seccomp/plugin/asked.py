"""What the options ask for: a trace, a deny log, both or neither."""

import contextlib

import pytest

from pytest_seccomp.errors import SeccompError


def start(config: pytest.Config) -> None:
    """Register what is asked for. Raises pytest.UsageError where it cannot be had."""
    options = config.known_args_namespace
    if options.help or options.version:
        return
    traces = (options.seccomp_trace, options.seccomp_trace_append, options.seccomp_backend) != (None, None, None)
    judges = (options.seccomp_profile, options.seccomp_update_profile) != (None, None)
    judges = judges or bool(options.seccomp_profile_collection or config.getini("seccomp_profile"))
    watches = (options.seccomp_deny_log, options.seccomp_deny_source, options.seccomp_on_denied) != (None, None, None)
    watches = watches and not options.no_seccomp_deny_log
    traces = (traces or judges) and not options.no_seccomp_trace
    try:
        if watches or traces:
            from pytest_seccomp.plugin import parallel

            parallel.refuse(config)
        # First: its watcher must not be under the filter of the trace
        if watches:
            from pytest_seccomp.plugin.denials import start as deny_log

            deny_log.start(config)
        if traces:
            from pytest_seccomp.recorder import starting

            # Importing the rest takes as long as a recorder takes to import what is its own
            with contextlib.closing(starting.Begun(starting.RECORDER, starting.CALLED)) as recorder:
                from pytest_seccomp.plugin import start as trace

                trace.start(config, recorder.start)
    except SeccompError as error:
        raise pytest.UsageError(f"pytest-seccomp: {error}") from error
