"""Starting a process of ours that is under no filter of ours and in no trace, whatever this process is under."""

import pytest

from pytest_seccomp.plugin import tracing
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.recorder import client, starting

ASKED = "seccomp-policies-tracing"
"""Name of the plugin that has the recorder of policies and blocks, where the trace's is not enough."""


def spawn(config: pytest.Config) -> client.Spawn:
    """As `starting.start`, which it is where nothing is recorded; else by a recorder. To be asked for when it is
    needed: a recorder may come when the tests have been collected."""
    for name in (tracing.NAME, ASKED):
        recording: Tracing | None = config.pluginmanager.get_plugin(name)
        if recording is not None:
            return recording.client.spawn
    return starting.start
